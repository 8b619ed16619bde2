"""What clients may ask for: the fields of OpenAI's requests that are honoured, their bounds, and what is refused.

Sizes are bounded here, before any work. A field that would change the meaning of the answer and is not honoured is
refused by its name (a 200 that ignored it would be a lie); any other unknown field is harmless and passed over.
"""

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    FailFast,
    Field,
    StringConstraints,
    WithJsonSchema,
    field_validator,
    model_validator,
)

MOST_PROMPTS = 256
MOST_CHOICES = 32
MOST_TEXTS = 256
"""Prompts times choices of one request."""
MOST_IDS = 2**18
"""Of one prompt; the length of the model's own texts is looked at later."""
TOP_LOGPROBS = 20
SEED_LIMIT = 2**63

# Honoured nowhere here, with the values that ask for nothing.
REFUSED: dict[str, tuple[Any, ...]] = {
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "parallel_tool_calls": (True, False),
    "best_of": (1,),
    "suffix": ("",),
    "modalities": (["text"],),
    "audio": (),
    "prediction": (),
    "web_search_options": (),
    "logits_processors": ([],),
    "use_beam_search": (False,),
    "stop_token_ids": ([],),
    "min_tokens": (0,),
    "prompt_logprobs": (),
    "truncate_prompt_tokens": (),
    "grammar": ("",),
    "json_schema": ({},),
    "guided_json": (),
    "guided_regex": (),
    "guided_choice": (),
    "guided_grammar": (),
    "structured_outputs": (),
    "chat_template": (),
    "chat_template_kwargs": ({},),
    "adapter": (),
    "lora": (),
}

PROMPT_FORMS = (
    f"a prompt is a text, a list of at most {MOST_PROMPTS} texts, a list of ids of tokens, or a list of such lists; "
    "none of the lists is empty"
)
PROMPT_SCHEMA: dict[str, Any] = {
    "anyOf": [
        {"type": "string"},
        {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": MOST_PROMPTS},
        {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1},
        {
            "type": "array",
            "items": {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1},
            "minItems": 1,
            "maxItems": MOST_PROMPTS,
        },
    ]
}

Word = Annotated[str, StringConstraints(max_length=256)]
ID_LIMIT = 2**31
Id = Annotated[int, Field(ge=0, lt=ID_LIMIT)]
Text = str


class Asked(BaseModel):
    """A request; types are strict, so that "5" is no number and true is none either."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)

    @model_validator(mode="after")
    def _refuse(self) -> "Asked":
        for name, value in (self.model_extra or {}).items():
            harmless = REFUSED.get(name)
            if harmless is not None and value is not None and value not in harmless:
                raise ValueError(f"{name} is not supported, and the answer would not be what it asks for; leave it out")
        return self


class StreamOptions(BaseModel):
    """What a stream tells besides its text."""

    model_config = ConfigDict(strict=True, extra="ignore")
    include_usage: bool = False


class JsonSchema(BaseModel):
    """A schema by OpenAI's shape."""

    model_config = ConfigDict(strict=True, extra="ignore", populate_by_name=True)
    name: str = "answer"
    content: dict[str, Any] = Field(alias="schema")


class ResponseFormat(BaseModel):
    """The form that an answer must have."""

    model_config = ConfigDict(strict=True, extra="forbid")
    type: Literal["text", "json_object", "json_schema"]
    json_schema: JsonSchema | None = None


class Writing(Asked):
    """What both kinds of requests share."""

    model: str | None = None
    max_tokens: int | None = Field(None, ge=0, le=2**31)
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=-1, le=2**31)
    min_p: float | None = Field(None, ge=0, le=1)
    repetition_penalty: float | None = Field(None, gt=0, le=10)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    n: int | None = Field(None, ge=1, le=MOST_CHOICES)
    seed: int | None = Field(None, ge=-SEED_LIMIT, lt=SEED_LIMIT)
    stop: Word | Annotated[list[Word], Field(max_length=16)] | None = None
    logit_bias: Annotated[dict[str, Annotated[float, Field(ge=-100, le=100)]], Field(max_length=1024)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    ignore_eos: bool | None = None
    response_format: ResponseFormat | None = None
    return_token_ids: bool | None = None
    """The ids of prompts and answers beside their texts, by vLLM's names: token_ids and prompt_token_ids."""

    @field_validator("logit_bias")
    @classmethod
    def _ids(cls, value: dict[str, float] | None) -> dict[str, float] | None:
        if any(not key.isascii() or not key.isdigit() or len(key) > 9 for key in value or ()):
            raise ValueError('keys are ids of tokens, such as "50256"')
        return value

    @property
    def stops(self) -> tuple[str, ...]:
        """The stop strings that are not empty."""
        given = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return tuple(word for word in given if word)


def _checked_prompt(value: Any) -> str | list[Any]:
    """A prompt of one of the four forms.

    By hand: of a list of 200,000 ids with one fault in it, pydantic would tell 200,000 times that it is no list of
    texts, which takes seconds.
    """
    if isinstance(value, str):
        return value
    if not isinstance(value, list) or not value:
        raise ValueError(PROMPT_FORMS)
    if len(value) > MOST_IDS:
        raise ValueError(f"a prompt of {len(value):,} ids is longer than any context")
    kinds = set(map(type, value))
    if kinds == {list} and len(value) <= MOST_PROMPTS:
        if not all(one and _all_ids(one) for one in value):
            raise ValueError(PROMPT_FORMS)
    elif not (kinds == {str} and len(value) <= MOST_PROMPTS) and not _all_ids(value):
        raise ValueError(PROMPT_FORMS)
    return value


def _all_ids(value: list[Any]) -> bool:
    return set(map(type, value)) == {int} and min(value) >= 0 and max(value) < ID_LIMIT


class CompletionRequest(Writing):
    """POST /v1/completions."""

    prompt: Annotated[Any, AfterValidator(_checked_prompt), WithJsonSchema(PROMPT_SCHEMA)]
    echo: bool | None = None
    logprobs: int | None = Field(None, ge=0, le=TOP_LOGPROBS)

    @model_validator(mode="after")
    def _check(self) -> "CompletionRequest":
        if self.echo and self.return_token_ids:
            raise ValueError("return_token_ids tells prompt and answer apart, and echo joins them; leave one out")
        return self


class Part(BaseModel):
    """A part of a message's content; only text is read, and nothing is ever fetched."""

    model_config = ConfigDict(strict=True, extra="ignore")
    type: Literal["text"]
    text: Text


class ChatMessage(BaseModel):
    """A message of a conversation."""

    model_config = ConfigDict(strict=True, extra="allow")
    role: Word
    content: Text | Annotated[list[Part], Field(max_length=256)]

    @model_validator(mode="after")
    def _refuse(self) -> "ChatMessage":
        for name in ("tool_calls", "function_call", "audio"):
            if (self.model_extra or {}).get(name):
                raise ValueError(f"{name} in a message is not supported; leave it out")
        return self

    @property
    def words(self) -> str:
        """The content as one text."""
        return self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)


class ChatRequest(Writing):
    """POST /v1/chat/completions."""

    messages: Annotated[list[ChatMessage], Field(max_length=2048), FailFast()]
    max_completion_tokens: int | None = Field(None, ge=1, le=2**31)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=TOP_LOGPROBS)
    continue_final_message: bool | None = None
    """Go on with the last message, the assistant's; vLLM's names, which want the other one to be false then."""
    add_generation_prompt: bool | None = None

    @model_validator(mode="after")
    def _check(self) -> "ChatRequest":
        if self.top_logprobs is not None and not self.logprobs:
            raise ValueError("top_logprobs needs logprobs: true")
        if bool(self.continue_final_message) != (self.add_generation_prompt is False):
            raise ValueError("continue_final_message: true and add_generation_prompt: false go together, or neither")
        if self.continue_final_message and (not self.messages or self.messages[-1].role != "assistant"):
            raise ValueError("continue_final_message goes on with an assistant's message, and the last is none")
        if (self.model_extra or {}).get("echo"):
            raise ValueError("echo is not supported for chat; leave it out")
        return self


class TokenizeRequest(Asked):
    """POST /tokenize."""

    prompt: Text
    model: str | None = None
    add_special_tokens: bool = True


class DetokenizeRequest(Asked):
    """POST /detokenize."""

    tokens: Annotated[list[Id], FailFast()]
    model: str | None = None
