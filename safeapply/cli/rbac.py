"""``safeapply rbac``: the rights that a rollout takes, and none beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from safeapply.cli.options import (
    ApplySetName,
    Filenames,
    IstioNamespace,
    LockNamespace,
    NamespaceName,
    Prune,
    Recursive,
    Selector,
    Via,
    ViaOption,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from safeapply.plans.rights import Right
    from safeapply.report.rbac import Subject
    from safeapply.resources.objects import GroupKind, Namespace, Resource
    from safeapply.rollout.membership import Reference

__all__ = ["rbac"]


def rbac(  # noqa: PLR0913  one parameter for each option
    *,
    filename: Filenames = None,
    recursive: Recursive = False,
    namespace: NamespaceName = None,
    delete: Annotated[bool, typer.Option("--delete", help="Also for safeapply delete of the files.")] = False,
    remote: Annotated[
        bool, typer.Option("--remote", help="For a remote cluster of the mesh, which nothing is written to.")
    ] = False,
    prune: Prune = False,
    applyset: ApplySetName = None,
    selector: Selector = None,
    via: ViaOption = Via.PORT_FORWARD,
    istio_namespace: IstioNamespace = "istio-system",
    lock_namespace: LockNamespace = None,
    name: Annotated[str, typer.Option("--name", help="Name of the roles and bindings.")] = "safeapply",
    user: Annotated[list[str] | None, typer.Option("--user", help="Bind the roles to a user; repeatable.")] = None,
    group: Annotated[list[str] | None, typer.Option("--group", help="Bind them to a group; repeatable.")] = None,
    serviceaccount: Annotated[
        list[str] | None,
        typer.Option("--serviceaccount", metavar="NAMESPACE:NAME", help="Bind them to an account; repeatable."),
    ] = None,
) -> None:
    """Print the Role and the ClusterRole that a rollout takes, for kubectl apply -f -.

    With -f exactly for these files; without, for all that a mesh is configured by. The files of tomorrow may hold
    other kinds, or other Secrets: then print it again.
    """
    from safeapply.commands.inputs import Pruning, manifests_of
    from safeapply.errors import UsageError
    from safeapply.plans.rights import (
        EVERYWHERE,
        Way,
        attending,
        deleting,
        executing,
        general,
        noting,
        places_written,
        pruning,
        reading,
        writing,
    )
    from safeapply.report.rbac import rbac_yaml
    from safeapply.resources.objects import Namespace
    from safeapply.resources.plurals import plural_of

    way, root = Way("" if via is Via.URL else via.value.replace("-", "")), Namespace(istio_namespace)
    lock = Namespace(lock_namespace) if lock_namespace else None
    subjects = tuple(_subjects(user or (), group or (), serviceaccount or ()))
    asked = Pruning(prune, selector, applyset)
    reference = asked.reference(Namespace(namespace or ""))
    plurals: dict[GroupKind, str] = {}
    spaces: frozenset[Namespace] = frozenset()
    if remote and (filename or delete or prune):
        raise UsageError("--remote is for clusters that nothing is written to: it goes with no files")
    if remote:
        rights = attending(way)
    elif filename:
        manifests = manifests_of(filename, recursive=recursive, namespace=namespace)
        plurals = dict(_defined(manifests))
        rights = (*reading(way, root), *executing(way, root, lock), *writing(manifests))
        rights += noting(one.id for one in manifests)
        spaces = places_written((one.id for one in manifests), lock or root)
        if delete:
            rights += deleting(one.id for one in manifests)
        if reference is not None:
            rights += _recorded(reference, manifests, plurals)
        elif prune:
            rights += pruning()
            spaces = frozenset({EVERYWHERE})
    else:
        rights, spaces = general(way, root, lock), frozenset({EVERYWHERE})
        if reference is not None:
            rights += _recorded(reference, (), plurals)
    text = rbac_yaml(rights, name=name, subjects=subjects, plural=lambda kind: plurals.get(kind) or plural_of(kind))
    if not remote:
        text += "".join(_of_records(subjects, spaces))
    typer.echo(text.rstrip("\n"))


def _of_records(subjects: tuple[Subject, ...], spaces: frozenset[Namespace]) -> Iterator[str]:
    """Yield the roles that let each user keep records, and read or write nobody else's."""
    from safeapply.plans.records import record_name
    from safeapply.plans.rights import keeping
    from safeapply.report.rbac import rbac_yaml

    users = {subject.username: subject for subject in subjects if subject.username}
    for user, subject in users.items():
        yield "---\n" + rbac_yaml(keeping(user, spaces), name=record_name(user), subjects=(subject,))
    if len(users) < len(subjects) or not subjects:
        yield (
            "# No right to keep records is here: it is for one user's own Secrets. Name each user with --user or\n"
            "# --serviceaccount; without this right a rollout takes --no-record.\n"
        )


def _recorded(
    reference: Reference, manifests: tuple[Resource, ...], plurals: dict[GroupKind, str]
) -> tuple[Right, ...]:
    """Return what an apply set takes: to keep it, to find its members and to delete them."""
    from safeapply.plans.rights import deleting_kinds, recording
    from safeapply.resources.objects import GroupKind, ResourceId
    from safeapply.rollout.membership import known_parent

    kind, custom = known_parent(reference.resource), ""
    if kind is None:
        custom = reference.resource
        plural, _, group = custom.partition(".")
        kind = GroupKind(group, plural)
        plurals[kind] = plural
    parent = ResourceId(kind.group, kind.kind, reference.namespace, reference.name)
    ids = [one.id for one in manifests]
    return (*recording(parent, ids, custom), *deleting_kinds(ids))


def _defined(manifests: tuple[Resource, ...]) -> Iterator[tuple[GroupKind, str]]:
    """Yield how the definitions among the files call their collections."""
    from safeapply.resources.objects import GroupKind

    for one in manifests:
        names = one.spec.get("names")
        if one.id.kind == "CustomResourceDefinition" and isinstance(names, dict) and names.get("plural"):
            yield GroupKind(str(one.spec.get("group")), str(names.get("kind"))), str(names["plural"])


def _subjects(
    users: list[str] | tuple[()], groups: list[str] | tuple[()], accounts: list[str] | tuple[()]
) -> Iterator[Subject]:
    from safeapply.errors import UsageError
    from safeapply.report.rbac import Subject

    yield from (Subject("User", one) for one in users)
    yield from (Subject("Group", one) for one in groups)
    for one in accounts:
        namespace, colon, name = one.partition(":")
        if not (namespace and colon and name):
            raise UsageError(f"--serviceaccount {one}: write NAMESPACE:NAME")
        yield Subject("ServiceAccount", name, namespace)
