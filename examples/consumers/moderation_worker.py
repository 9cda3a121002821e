"""Works on the moderation queue: claims the most urgent case, shows it to a person, and sends the decision.

python moderation_worker.py --url http://127.0.0.1:8080 --policy "Code of conduct, section 3"

Each answer is one line: OUTCOME and the reason, for example `false_alarm They were joking.` An empty line gives the case back.
"""

from __future__ import annotations

import argparse
import os
import sys

from stream.client import BlockingGateway, GatewayError, ProblemError
from stream.domain.case import Case
from stream.domain.decision import Decision, Outcome


def main() -> None:
    """Work until the queue is empty, or there are no more answers."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="address of the gateway")
    parser.add_argument("--policy", required=True, help="the policy that decisions follow")
    arguments = parser.parse_args()
    with BlockingGateway(arguments.url, os.environ.get("SENTISTREAM_TOKEN")) as gateway:
        left_alone: set[str] = set()
        while (case := claim_next(gateway, left_alone)) is not None:
            show(case)
            answer = sys.stdin.readline()
            outcome, _, reason = answer.strip().partition(" ")
            if outcome not in tuple(Outcome) or not reason:
                gateway.release(case.alert_id)
                left_alone.add(case.alert_id)
                print("given back")
            else:
                decided = gateway.decide(case.alert_id, Decision(outcome=Outcome(outcome), policy=arguments.policy, reason=reason))
                print(f"decided: {decided.decision.outcome if decided.decision else outcome}")
            if not answer:
                return
    print("nothing more to do")


def claim_next(gateway: BlockingGateway, left_alone: set[str]) -> Case | None:
    """The most urgent case that nobody works on: by severity, then by age, as the gateway lists them."""
    for case in gateway.cases():
        if case.alert_id in left_alone:
            continue
        try:
            return gateway.claim(case.alert_id)
        except ProblemError as error:
            # Somebody else was faster: take the next one.
            if error.problem.status != 409:
                raise
    return None


def show(case: Case) -> None:
    """The rule, the value and what to do; words are not shown here, see `POST …/words`."""
    alert = case.alert
    print(f"{alert.severity}: {alert.title} ({alert.session}, {alert.role}, at {alert.end_ms / 1000:.0f} s)")
    print(f"  rule: {alert.text}")
    if alert.value is not None and alert.threshold is not None:
        print(f"  value {alert.value:.1f}, threshold {alert.threshold:.1f}")
    print(f"  suggested: {alert.respond}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except GatewayError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
