"""Deploy from a script: ``python examples/deploy.py DIRECTORY``."""

import sys

import safeapply

try:
    for refusal in safeapply.plan(sys.argv[1]).refusals:
        print(refusal.request, refusal.remedy, sep="; ")
    rollout = safeapply.apply(sys.argv[1], soak=0.2, on_timeout="rollback")
    print(f"{len(rollout.written)} writes in {rollout.seconds:.1f} s")
except safeapply.SafeApplyError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
