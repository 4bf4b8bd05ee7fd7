"""The selection grammar, one for shell, TOML and Python.

    selection = name [ ":" variant ] [ "[" params "]" ]      name or variant may be "*"
    params    = key "=" value { "," value } { "," key "=" value { "," value } }
    value     = number | true | false | none | bare word | "quoted string"

Several values of one key are the cells of a grid.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.entries import Scalar
from harness.errors import UsageError

TOKEN = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|([\[\],=:])|([^\s\[\],=:"]+))')
INT = re.compile(r"[+-]?[0-9]+")
FLOAT = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
WORDS: dict[str, Scalar] = {"true": True, "false": False, "none": None}


@dataclass(frozen=True)
class Selection:
    """A parsed selection; each parameter holds one value or several."""

    name: str
    variant: str = ""
    params: tuple[tuple[str, tuple[Scalar, ...]], ...] = ()


@dataclass(frozen=True)
class _Token:
    """A piece of text: a quoted string, a mark such as "[", or a bare word."""

    text: str
    quoted: bool = False
    mark: bool = False


def parse(text: str) -> Selection:
    """Parses one selection.

    >>> parse("mean_pool:masked[width=16,64]")
    Selection(name='mean_pool', variant='masked', params=(('width', (16, 64)),))

    Raises:
      UsageError: shows the text and what was expected where.
    """
    tokens = _tokens(text)
    name = _word(tokens, text, "a name")
    variant = ""
    if _take(tokens, ":"):
        variant = _word(tokens, text, "a variant after ':'")
    params: dict[str, tuple[Scalar, ...]] = {}
    if _take(tokens, "["):
        while True:
            key, values = _param(tokens, text)
            if key in params:
                raise _fault(text, f"{key!r} once")
            params[key] = values
            if _take(tokens, "]"):
                break
            if not _take(tokens, ","):
                raise _fault(text, "',' or ']'")
    if tokens:
        raise _fault(text, f"nothing more before {tokens[0].text!r}")
    return Selection(name, variant, tuple(params.items()))


def parse_value(text: str) -> Scalar:
    """A bare value: number, true, false, none, or the word itself.

    >>> [parse_value(v) for v in ("4", "1e-3", "true", "none", "max")]
    [4, 0.001, True, None, 'max']
    """
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    # more digits than any real parameter has would make int() raise
    if INT.fullmatch(text) and len(text) < 300:
        return int(text)
    if FLOAT.fullmatch(text):
        return float(text)
    return text


def _tokens(text: str) -> list[_Token]:
    tokens: list[_Token] = []
    at = 0
    while at < len(text.rstrip()):
        match = TOKEN.match(text, at)
        if match is None:
            raise _fault(text, 'a closing `"`')
        quoted, mark, word = match.groups()
        if quoted is not None:
            tokens.append(_Token(re.sub(r"\\(.)", r"\1", quoted), quoted=True))
        else:
            tokens.append(_Token(mark or word, mark=mark is not None))
        at = match.end()
    return tokens


def _take(tokens: list[_Token], mark: str) -> bool:
    found = bool(tokens) and tokens[0].mark and tokens[0].text == mark
    if found:
        tokens.pop(0)
    return found


def _word(tokens: list[_Token], text: str, expected: str) -> str:
    if not tokens or tokens[0].mark:
        raise _fault(text, expected)
    return tokens.pop(0).text


def _param(tokens: list[_Token], text: str) -> tuple[str, tuple[Scalar, ...]]:
    key = _word(tokens, text, "key=value inside the brackets")
    if not _take(tokens, "="):
        raise _fault(text, f"'=' after {key!r}")
    values = [_value(tokens, text, key)]
    # a comma goes on with values unless "key=" follows it
    while len(tokens) > 1 and _is_next_value(tokens):
        tokens.pop(0)
        values.append(_value(tokens, text, key))
    return key, tuple(values)


def _is_next_value(tokens: list[_Token]) -> bool:
    comma = tokens[0].mark and tokens[0].text == ","
    starts_key = len(tokens) > 2 and tokens[2].mark and tokens[2].text == "="
    return comma and not starts_key


def _value(tokens: list[_Token], text: str, key: str) -> Scalar:
    if not tokens or tokens[0].mark:
        raise _fault(text, f"a value for {key!r}")
    token = tokens.pop(0)
    return token.text if token.quoted else parse_value(token.text)


def _fault(text: str, expected: str) -> UsageError:
    return UsageError(
        f"selection {text!r}: expected {expected}; write name[:variant][[key=value,...]], "
        "as in transformer:deep[num_heads=4,dropout=0.0,0.1]"
    )
