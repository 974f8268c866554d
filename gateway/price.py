"""What answers and embeddings cost, as the settings say it. Pure."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Price(BaseModel):
    """What the upstream costs: per million tokens, or per hour of a machine that you pay for anyway."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input_per_million: float | None = Field(None, ge=0, allow_inf_nan=False)
    output_per_million: float | None = Field(None, ge=0, allow_inf_nan=False)
    per_upstream_hour: float | None = Field(None, ge=0, allow_inf_nan=False)
    gpus: int = Field(1, ge=0, description="GPUs of that machine")
    currency: str = Field(min_length=1, max_length=8)

    @model_validator(mode="after")
    def one_way_of_paying(self) -> Self:
        by_token = (self.input_per_million, self.output_per_million)
        if (self.per_upstream_hour is None) == (by_token == (None, None)) or by_token.count(None) == 1:
            raise ValueError(
                "give input_per_million and output_per_million, or per_upstream_hour for a machine of your own"
            )
        return self

    def of(self, tokens_in: int | None, tokens_out: int | None, upstream_s: float) -> float | None:
        """The money for one answer; None if the upstream did not count the tokens that the price needs."""
        if self.per_upstream_hour is not None:
            return self.per_upstream_hour * upstream_s / 3600
        if tokens_in is None or tokens_out is None:
            return None
        assert self.input_per_million is not None
        assert self.output_per_million is not None
        return (tokens_in * self.input_per_million + tokens_out * self.output_per_million) / 1_000_000


class EmbeddingPrice(BaseModel):
    """What an hour of the embedder's work costs on this machine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    per_hour: float = Field(ge=0, allow_inf_nan=False)
    currency: str = Field(min_length=1, max_length=8)
