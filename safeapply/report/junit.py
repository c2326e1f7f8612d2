"""Findings as JUnit XML, which every CI server shows: a test for each object and each finding that counts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Final
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from safeapply.checks.findings import Finding, Severity
from safeapply.resources.objects import ResourceId
from safeapply.visible import visible

__all__ = ["findings_junit"]

SUITE: Final = "safeapply check"


def findings_junit(
    findings: Sequence[Finding], objects: Iterable[ResourceId], failing: Collection[Severity]
) -> str:
    """Return the document with a newline at the end.

    Args:
        findings: what was found.
        objects: all that were checked, clean ones too.
        failing: the severities that fail a test; the others stand in its output.
    """
    by_object: dict[ResourceId, list[Finding]] = defaultdict(list)
    for one in findings:
        by_object[one.object].append(one)
    suite = Element("testsuite", name=SUITE)
    for checked in dict.fromkeys((*objects, *by_object)):
        _cases(suite, checked, by_object[checked], failing)
    cases = suite.findall("testcase")
    failures = sum(case.find("failure") is not None for case in cases)
    for element in (suite, root := Element("testsuites", name=SUITE)):
        element.attrib.update(tests=str(len(cases)), failures=str(failures), errors="0")
    root.append(suite)
    indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{tostring(root, encoding="unicode")}\n'


def _cases(suite: Element, checked: ResourceId, findings: list[Finding], failing: Collection[Severity]) -> None:
    failed = [one for one in findings if one.severity in failing]
    for one in failed:
        # What is no character of XML would make the whole document unreadable.
        name = visible(f"{one.code} {one.field}")
        case = SubElement(suite, "testcase", classname=visible(str(checked)), name=name)
        if one.file:
            case.attrib.update(file=visible(one.file), line=str(one.line))
        failure = SubElement(case, "failure", type=one.code, message=visible(one.effect))
        failure.text = _said(one)
    if not failed:
        case = SubElement(suite, "testcase", classname=visible(str(checked)), name="check")
        if findings:
            SubElement(case, "system-out").text = "\n".join(map(_said, findings))


def _said(one: Finding) -> str:
    place = f"{one.place}: " if one.place else ""
    return visible(f"{place}{one.severity.value} {one.code} {one.field}: {one.effect} {one.remedy}")
