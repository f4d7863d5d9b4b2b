"""What a LibCST codemod does with a tree: it renames optimizers by qualified names. Run by `benchmarks.peers`.

Usage: python libcst_rename.py TREE OUTPUT RENAMES.json
"""

import json
import sys
from pathlib import Path

import libcst as cst
from libcst.codemod import CodemodContext, VisitorBasedCodemodCommand
from libcst.metadata import MetadataWrapper, QualifiedNameProvider


class Rename(VisitorBasedCodemodCommand):  # type: ignore[misc]
    """Give each optimizer constructor its counterpart's name and path."""

    METADATA_DEPENDENCIES = (QualifiedNameProvider,)

    def __init__(self, context: CodemodContext, renames: dict[str, str]) -> None:
        super().__init__(context)
        self.renames = renames

    def leave_Call(self, original_node: cst.Call, updated_node: cst.Call) -> cst.Call:
        """The call with its target's name, where the name it calls is an optimizer."""
        for name in self.get_metadata(QualifiedNameProvider, original_node.func, set()):
            if name.name in self.renames:
                return updated_node.with_changes(func=cst.parse_expression(self.renames[name.name]))
        return updated_node


def main(tree: Path, output: Path, renames: dict[str, str]) -> None:
    """Rewrite each file of a tree into another."""
    for path in sorted(tree.rglob("*.py")):
        module = cst.parse_module(path.read_bytes())
        wrapper = MetadataWrapper(module, unsafe_skip_copy=True)
        context = CodemodContext(filename=str(path), wrapper=wrapper)
        changed = Rename(context, renames).transform_module(module)
        target = output / path.relative_to(tree)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(changed.bytes)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(Path(sys.argv[3]).read_text()))
