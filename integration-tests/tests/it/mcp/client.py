"""A client by the protocol's Python SDK: does what a plan says, and prints what came of it, a JSON document a line.

    client.py stdio COMMAND ARG…    the plan is read from the variable PLAN: [{"list": true}, {"call": NAME, "args": {…}}, …]
    client.py http URL TOKEN
"""

import json
import os
import sys

import anyio
import httpx2
from mcp import Client, MCPError, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client


def transport():
    way, *args = sys.argv[1:]
    if way == "stdio":
        return stdio_client(StdioServerParameters(command=args[0], args=args[1:]))
    url, token = args
    http = httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=60)
    return streamable_http_client(url, http_client=http)


async def do(client: Client, step: dict) -> object:
    if "list" in step:
        listed = await client.list_tools()
        return [tool.model_dump(mode="json", by_alias=True) for tool in listed.tools]
    heard = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        heard.append([done, total, message])

    try:
        with anyio.fail_after(step.get("seconds", 60)):
            result = await client.call_tool(step["call"], step.get("args", {}), progress_callback=progress)
    except TimeoutError:
        return {"late": step["call"]}
    except MCPError as error:
        return {"refused": error.error.message, "code": error.error.code}
    return {"result": result.model_dump(mode="json", by_alias=True), "progress": heard}


async def main() -> None:
    async with Client(transport(), mode=os.environ.get("MODE", "auto")) as client:
        print(json.dumps({"protocol": client.protocol_version}), flush=True)
        for step in json.loads(os.environ["PLAN"]):
            print(json.dumps(await do(client, step)), flush=True)


anyio.run(main)
