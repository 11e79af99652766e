"""A server by the protocol's Python SDK: one tool waits until it is withdrawn, one adds another tool."""

import sys

import anyio
from mcp.server.mcpserver import Context, MCPServer

server = MCPServer("waiter")


def note(what: str) -> None:
    with open(sys.argv[1], "a", encoding="utf-8") as file:
        file.write(what + "\n")


@server.tool()
async def wait() -> str:
    """Waits for longer than anybody does."""
    note("began")
    try:
        await anyio.sleep(600)
    except anyio.get_cancelled_exc_class():
        note("withdrawn")
        raise
    return "nobody waited so long"


def added() -> str:
    """Was not there before."""
    return "here I am"


@server.tool()
async def grow(ctx: Context) -> str:
    """Adds a tool, and says so."""
    server.add_tool(added)
    await ctx.session.send_tool_list_changed()
    return "grown"


server.run("stdio")
