"""Run a command in a container and look at what it printed.

python docs/examples/run_a_command.py BUNDLE -- ls /
"""

import sys

from ociruntime import Bundle, Failure, Process, Runtime


def main(path: str, *command: str) -> int:
    bundle = Bundle.load(path)
    try:
        with Runtime().create(f"example-{bundle.path.name}", bundle) as container:
            container.start()
            process = bundle.spec.process or Process(cwd="/", args=[])
            process.args = list(command)
            process.terminal = False
            done = container.exec(process, capture=True)
    except Failure as failure:
        print(f"{failure.what} ({failure.code}, {failure.origin or 'no property'})", file=sys.stderr)
        return 1
    print(done.stdout.decode(), end="")
    return done.status


if __name__ == "__main__":
    place, _, *words = sys.argv[1:]
    raise SystemExit(main(place, *words))
