"""The shape of a table file, as data: the loader checks against it and the JSON Schema is generated from it."""

from __future__ import annotations

from optmap.mapping.model import Accepts, Effect, Framework, Need
from optmap.mapping.versions import PACKAGES
from optmap.mapping.yamlnodes import Any_, Field, Flag, ListOf, MapOf, Record, Text, Whole

PARAMETER = Record(
    "parameter",
    {
        "name": Field(Text(), "the name in the signature", required=True),
        "is": Field(ListOf(Text(), or_one=True), "the canonical hyperparameter, or the list of those in a tuple"),
        "affects": Field(Text(("execution",)), "the parameter changes how, not what, is computed"),
        "default": Field(Any_(), "the default; a parameter without this key is required"),
        "keyword_only": Field(Flag(), "true after the `*` of the signature"),
        "accepts": Field(Text(tuple(Accepts)), "the Python type that the constructor insists on"),
        "range": Field(Text(), "the interval of accepted values, such as `(0, 1)` or `[0, inf)`"),
        "switches": Field(MapOf(Text()), "while this flag is true: canonical name -> the one that it stands for"),
        "since": Field(Text(), "first version that has the parameter"),
        "until": Field(Text(), "first version that no longer has it"),
        "was": Field(MapOf(Text()), "older name -> first version that no longer accepts it"),
        "note": Field(Text(), "what a user should know"),
        "times": Field(Text(), "the hyperparameter is the value times this other one"),
        "over": Field(Text(), "the hyperparameter is the value over this other one"),
        "plus": Field(Whole(), "the hyperparameter is the list with this number added to each item"),
        "then": Field(Text(), "the list ends in this hyperparameter in addition"),
        "below": Field(Text(), "the value must lie below this hyperparameter"),
    },
)
INCLUDE = Record(
    "parameter or include",
    {**PARAMETER.fields, "name": Field(Text(), "the name in the signature"),
     "include": Field(Text(), "a list from `parameter_lists`, inserted here")},
)  # fmt: skip
EARLIER = Record(
    "earlier",
    {
        "rule": Field(MapOf(Text()), "trait -> value"),
        "rule_when": Field(MapOf(MapOf(Text())), "hyperparameter -> traits that held instead while it is not neutral"),
    },
)
API = Record(
    "api",
    {
        "verified": Field(Text(), "the version whose live signature the rows equal", required=True),
        "parameters": Field(ListOf(INCLUDE), "the signature, in order", required=True),
        "extra_keywords": Field(Flag(), "the signature ends in **kwargs"),
        "rule": Field(MapOf(Text()), "trait -> value"),
        "rule_when": Field(MapOf(MapOf(Text())), "hyperparameter -> traits that hold instead while it is not neutral"),
        "fixed": Field(MapOf(Any_()), "hyperparameters that the class has no argument for -> the constant it uses"),
        "deprecated": Field(Text(), "since when, and what replaces it"),
        "instead": Field(Text(), "what to do where a framework has no counterpart of this class"),
        "earlier": Field(MapOf(EARLIER), "version -> what held of the update rule before it, the latest version first"),
        "not_run": Field(Text(), "why no run can compare the class with others, such as a device that it needs"),
        "since": Field(Text(), "first version that has the class"),
        "until": Field(Text(), "first version that no longer has it"),
        "group_keys": Field(ListOf(Text()), "the keys that parameter groups take, where fewer than the module's"),
        "sample": Field(
            MapOf(Any_()), "arguments that a call needs to have a counterpart, where the defaults have none"
        ),
        "note": Field(Text(), "what a user should know"),
    },
)
HYPERPARAMETER = Record(
    "hyperparameter",
    {
        "about": Field(Text(), "what it is", required=True),
        "neutral": Field(Any_(), "the value at which it does nothing"),
        "also_neutral": Field(ListOf(Any_()), "other spellings of neutral, such as null"),
        "inert_without": Field(Text(), "the hyperparameter without which it does nothing"),
        "remedy": Field(Text(), "what to do where a framework lacks it; {value} is the value given"),
        "remedies": Field(MapOf(Text()), "framework that lacks it -> what to do there; {value} is the value given"),
        "effect": Field(
            Text(tuple(Effect)), "how far rules drift apart where one can only use another value; close by default"
        ),
        "grows_with": Field(Text(), "the hyperparameter whose size decides how far, whatever `effect` says"),
        "samples": Field(ListOf(Any_()), "values for `optmap check`: the first is given where a call has to give one"),
    },
)
TRAIT = Record(
    "trait",
    {
        "values": Field(
            MapOf(Text()), "value -> what the framework does, as the predicate of a sentence", required=True
        ),
        "default": Field(Text(), "the value of APIs that do not state the trait"),
        "effect": Field(Text(tuple(Effect)), "how far rules drift apart that differ here", required=True),
        "active_with": Field(ListOf(Text()), "the trait matters only while one of these is not neutral"),
        "ungrouped_only": Field(Flag(), "the trait matters only without parameter groups"),
        "needs": Field(Text(tuple(Need)), "what a run must have for the trait to show"),
        "advice": Field(Text(), "what removes the difference"),
        "advice_to": Field(MapOf(Text()), "the target's value -> what removes the difference there"),
        "grows_with": Field(Text(), "the hyperparameter whose size decides how far; at 0 the rules agree"),
    },
)
MODULE = Record(
    "module",
    {
        "framework": Field(Text(tuple(Framework)), "the framework", required=True),
        "docs": Field(Text(), "address of a class's page; `{api}` and `{class}` stand for its full and its short name"),
        "package": Field(Text(PACKAGES), "the package whose version counts; the framework's own by default"),
        "paths": Field(ListOf(Text()), "every import path of the module; the first is written", required=True),
        "pinned": Field(MapOf(Text()), "import path -> the version whose classes it holds, whatever is installed"),
        "exclusive": Field(Flag(), "every class in the module is an optimizer"),
        "others": Field(ListOf(Text()), "members that are not optimizers"),
        "schedules": Field(ListOf(Text()), "members that are learning-rate schedules or hold them"),
        "group_keys": Field(MapOf(ListOf(Text())), "key of a parameter group -> the canonical names it may stand for"),
        "group_extras": Field(MapOf(Text()), "other key of a parameter group -> what to do where a target has none"),
        "groups_take_all": Field(Flag(), "a parameter group takes every hyperparameter by its own name"),
        "superseded": Field(Flag(), "what else there is of the framework no longer takes its classes: they come last"),
        "serves": Field(ListOf(Text()), "modules of optimizers that the schedules of this module are made for"),
        "unserved": Field(ListOf(Text()), "classes of those modules that take no schedule all the same"),
    },
)
TABLE = Record(
    "table",
    {
        "algorithm": Field(Text(), "the algorithm's canonical name; also the file's name"),
        "title": Field(Text(), "the algorithm's name for people"),
        "reference": Field(Text(), "paper or page that defines the algorithm"),
        "alternatives": Field(
            ListOf(Text()), "algorithms whose classes may stand in when this one's cannot express a call"
        ),
        "instead": Field(Text(), "what to do where a framework has no class of the algorithm"),
        "apis": Field(MapOf(API), "class -> section, in order of preference for each framework"),
        "hyperparameters": Field(MapOf(HYPERPARAMETER), "canonical hyperparameters"),
        "traits": Field(MapOf(TRAIT), "traits of update rules"),
        "modules": Field(MapOf(MODULE), "modules that hold optimizers"),
        "parameter_lists": Field(MapOf(ListOf(PARAMETER)), "runs of parameters that several signatures share"),
    },
)
