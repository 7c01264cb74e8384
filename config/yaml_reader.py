"""Reads YAML from any source: the length of the file, its expanded aliases and its tags are bounded."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer, ComposerError, MaxDepthExceededError
from ruamel.yaml.constructor import ConstructorError, SafeConstructor
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import Node, ScalarNode

from command.messages import counted
from config.errors import describe_yaml, shown
from utils import UserError, read_text

MOST_BYTES = 1 << 18  # of a file: thousands of datasets, read in a few seconds
MOST_EXPANDED = 1_000_000  # values and characters of a file whose aliases are written out
MOST_DEPTH = 32  # values inside values; a preset's keys are four deep
MISFITS = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)  # of a tag with a value it cannot have


class BoundedComposer(Composer):
    """Refuses a document that its aliases make too large, before any value is made of it."""

    def __init__(self, loader: Any = None) -> None:
        super().__init__(loader)
        self.warn_double_anchors = False  # the later one counts

    def compose_document(self) -> Any:
        node = super().compose_document()
        expanded(node, {})
        return node


def expanded(node: Node, known: dict[int, tuple[int, int] | None]) -> tuple[int, int]:
    """The size and the depth of a node whose aliases are written out; `known` are those of other nodes, by id.

    None stands for a node that is not yet finished. Raises ComposerError beyond the bounds.
    """
    if id(node) in known:
        found = known[id(node)]
        if found is None:
            raise ComposerError(None, None, "an alias stands inside what it repeats", node.start_mark)
        return found
    known[id(node)] = None
    scalar = isinstance(node, ScalarNode)
    inner = [] if scalar else [n for item in node.value for n in (item if isinstance(item, tuple) else (item,))]
    sizes, depths = zip((len(node.value) if scalar else 0, 0), *(expanded(n, known) for n in inner), strict=True)
    size, depth = known[id(node)] = 1 + sum(sizes), 1 + max(depths)
    if size > MOST_EXPANDED or depth > MOST_DEPTH:
        much = counted(MOST_EXPANDED, "character") if size > MOST_EXPANDED else counted(MOST_DEPTH, "level")
        raise ComposerError(None, None, f"aliases make more than {much} of the file", node.start_mark)
    return size, depth


class NamingConstructor(SafeConstructor):
    """Names the place of a tag that does not fit its value, where ruamel.yaml raises errors of many kinds."""

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except MISFITS:
            tag = str(node.tag).replace("tag:yaml.org,2002:", "!!")
            raise ConstructorError(None, None, f"{shown(node.value)} is no {tag}", node.start_mark) from None


def read_yaml(path: Path) -> Any:
    """The content of a YAML file. Raises UserError with one line if it cannot be read, or is beyond the bounds."""
    text = read_text(path, "name the configuration with --config", MOST_BYTES)
    try:
        yaml = YAML(typ="safe", pure=True)
        yaml.Composer, yaml.Constructor, yaml.max_depth = BoundedComposer, NamingConstructor, MOST_DEPTH
        return yaml.load(text)
    except MaxDepthExceededError:
        raise UserError(f"{path}: nested too deeply") from None
    except YAMLError as error:
        raise UserError(f"{path}: {describe_yaml(error)}") from None
    except AssertionError:  # how ruamel refuses a version that it does not know
        raise UserError(f"{path}: %YAML must name version 1.1 or 1.2") from None
    except MISFITS:  # raised where the place is not known
        raise UserError(f"{path}: holds a key or a tag that its value does not fit") from None
