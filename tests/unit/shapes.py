"""Classes that tests ask for, in each of the ways in which a person writes them."""

from __future__ import annotations

import datetime as dt
import enum
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypedDict

import pydantic
from typing_extensions import NotRequired


class Mood(enum.Enum):
    """A mood."""

    GOOD = "good"
    BAD = "bad"


@dataclass
class City:
    """A city."""

    name: str
    population: int
    founded: dt.date | None = None


class Town(TypedDict):
    """A town."""

    name: str
    mayor: NotRequired[str]


class Towns(TypedDict, total=False):
    """Some towns."""

    towns: list[Town]


class Node(pydantic.BaseModel):
    """A node of a tree."""

    value: Annotated[int, pydantic.Field(ge=0, description="what it holds")]
    label: Annotated[str, pydantic.Field(min_length=2)] = "no label"
    below: list[Node] = []


class Cat(pydantic.BaseModel):
    """A cat."""

    kind: Literal["cat"]
    lives: int


class Dog(pydantic.BaseModel):
    """A dog."""

    kind: Literal["dog"]
    tricks: list[str] = ["sit"]


class Pet(pydantic.BaseModel):
    """A pet."""

    pet: Annotated[Cat | Dog, pydantic.Field(discriminator="kind")]
    mood: Mood


class Loose(pydantic.BaseModel):
    """What strict mode has no form for."""

    scores: dict[str, int]
    pair: tuple[int, str]
    anything: Any


class Even(pydantic.BaseModel):
    """A number that is checked by code."""

    number: int

    @pydantic.field_validator("number")
    @classmethod
    def even(cls, value: int) -> int:
        """Refuse odd ones."""
        if value % 2:
            raise ValueError("it is odd")
        return value
