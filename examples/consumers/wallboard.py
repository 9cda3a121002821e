"""A wallboard in a terminal: five figures over all sessions, from the live stream of the gateway.

python wallboard.py --url http://127.0.0.1:8080
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys

from stream.client import Gateway, GatewayError, subscribe
from stream.gateway.views import Gap, SessionState

Sessions = dict[tuple[str, str], SessionState]


async def main() -> None:
    """Print a line whenever a figure changes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="address of the gateway")
    parser.add_argument("--lines", type=int, default=0, help="stop after so many lines; 0: never")
    arguments = parser.parse_args()
    # A token on the command line would be seen by everybody on the machine.
    token = os.environ.get("SENTISTREAM_TOKEN")

    printed, last = 0, ""
    sessions: Sessions = await snapshot(arguments.url, token)
    results = aiter(subscribe(arguments.url, token=token))
    while True:
        line = figures(sessions)
        if line != last:
            print(line, flush=True)
            printed, last = printed + 1, line
            if printed == arguments.lines:
                return
        result = await anext(results)
        if isinstance(result, SessionState):
            sessions[result.tenant, result.session] = result
        elif isinstance(result, Gap):
            # Something is missing in the stream: the states of now are the truth.
            sessions = await snapshot(arguments.url, token)


async def snapshot(url: str, token: str | None) -> Sessions:
    """All sessions, as they are now."""
    async with Gateway(url, token) as gateway:
        return {(state.tenant, state.session): state async for state in gateway.sessions()}


def figures(sessions: Sessions) -> str:
    """The line: no names of customers, nothing that was said."""
    live = [state for state in sessions.values() if state.state == "live"]
    scores = [track.score for state in live for track in state.tracks if track.score is not None]
    mean = f"{sum(scores) / len(scores):+.1f}" if scores else "-"
    worst = f"{min(scores):+.1f}" if scores else "-"
    quiet = sum(state.state == "quiet" for state in sessions.values())
    alerts = sum(state.alert is not None for state in sessions.values())
    return f"live {len(live)} | quiet {quiet} | open alerts {alerts} | mean {mean} | worst {worst}"


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except GatewayError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)
