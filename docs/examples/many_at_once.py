"""Create, start and wait for several containers at once, from an event loop.

python docs/examples/many_at_once.py BUNDLE 8
"""

import asyncio
import sys

from ociruntime import AsyncRuntime


async def one(runtime: AsyncRuntime, path: str, number: int) -> str:
    async with await runtime.create(f"many-{number}", path) as container:
        await container.start()
        pid = (await container.state()).pid
        await container.kill("KILL")
        await container.wait(timeout=20)
        return f"many-{number} was process {pid}"


async def main(path: str, count: int) -> None:
    runtime = AsyncRuntime()
    for line in await asyncio.gather(*(one(runtime, path, number) for number in range(count))):
        print(line)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
