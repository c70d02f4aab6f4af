"""Types of members that several bodies share."""

from typing import Annotated

from pydantic import Field

from model_zoo import BUILD_ID

BuildId = Annotated[str, Field(pattern=BUILD_ID)]
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
# The number of rows is null.
Shape = list[int | None]
Links = Annotated[dict[str, str], Field(description="Paths of the routes about it, by name.")]
