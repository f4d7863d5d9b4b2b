"""The MCP server, asked over its own protocol by the package's own client."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mcp", reason="the mcp package is not installed")

import anyio
from mcp.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

SOURCE = "import torch\nnet = torch.nn.Linear(2, 2)\noptimizer = torch.optim.Adam(net.parameters(), lr=0.1)\n"


def asked(*calls: tuple[str, Mapping[str, Any]], directory: Path) -> list[Any]:
    """The answers to tool calls, made one after another to one server in a process of its own."""

    async def talk() -> list[Any]:
        command = StdioServerParameters(
            command=sys.executable, args=["-m", "optmap", "mcp"], cwd=directory, env=dict(os.environ)
        )
        async with Client(stdio_client(command)) as client:
            return [await client.call_tool(name, dict(arguments)) for name, arguments in calls]

    return anyio.run(talk)


def test_the_tools_answer_with_typed_results(tmp_path: Path) -> None:
    translated, explained, listed, broken, wrong = asked(
        ("translate", {"source": SOURCE}),
        ("explain", {"api": "torch.optim.AdamW", "to": "mindspore"}),
        ("list", {"source": "torch", "to": "tensorflow"}),
        ("translate", {"source": f"{SOURCE}def"}),
        ("translate", {"source": SOURCE, "to": "jax"}),
        directory=tmp_path,
    )
    found = translated.structured_content
    assert found["changed"]
    assert "mindspore.nn.Adam(net.trainable_params(), learning_rate=0.1" in found["output"]
    assert [(call["line"], call["status"]) for call in found["calls"]] == [(3, "translated")]
    assert {message["code"] for message in found["messages"]} >= {"OM410"}
    assert any("weight_decay" in item["text"] for item in explained.structured_content["result"])
    assert {item["source"] for item in listed.structured_content["result"]} >= {"torch.optim.SGD"}
    assert not broken.structured_content["changed"]
    assert broken.structured_content["error"]
    assert wrong.is_error
    assert "jax" in wrong.content[0].text
    assert not list(tmp_path.iterdir())


def test_check_measures_a_pair(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    (checked,) = asked(("check", {"optimizer": "torch.optim.SGD", "steps": 3}), directory=tmp_path)
    found = checked.structured_content
    assert found["passed"]
    assert {item["verdict"] for item in found["results"]} == {"AS_EXPECTED"}


def test_every_tool_only_reads() -> None:
    from optmap.servers.assistant import server

    async def tools() -> Any:
        async with Client(server) as client:
            return (await client.list_tools()).tools

    found = anyio.run(tools)
    assert {tool.name for tool in found} == {"translate", "explain", "check", "list"}
    for tool in found:
        assert tool.annotations.read_only_hint
        assert tool.output_schema
        assert tool.description
