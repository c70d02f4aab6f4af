"""Weight files of builds, written by the engine on the first request and then kept."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from app.engine import Engine
from app.serving.exchange import Exchange, while_connected
from app.store.builds import Build
from app.store.files import WeightFile, WeightFiles
from app.store.sources import WeightSources
from app.store.threads import on_files
from app.tasks import SaveWeights, Specs
from model_zoo import find_weight_format


class WeightExports:
    """Finds, writes and removes the weight files of builds."""

    def __init__(self, engine: Engine, files: WeightFiles, sources: WeightSources) -> None:
        self._engine = engine
        self._files = files
        self._sources = sources

    async def find(
        self, exchange: Exchange, build: Build, format_name: str, options: Mapping[str, str]
    ) -> WeightFile:
        """Return the file of a build in one of the formats; write it if it does not exist.

        Raises: WeightsError if a source of its weights no longer exists; EngineError.
        """
        suffix = find_weight_format(format_name, options).suffix
        file = await on_files(self._files.find, build.id, suffix)
        return file or await self._make(exchange, build, format_name, options, suffix)

    async def _make(
        self,
        exchange: Exchange,
        build: Build,
        format_name: str,
        options: Mapping[str, str],
        suffix: str,
    ) -> WeightFile:
        source_specs = await asyncio.to_thread(self._sources.specs_of_sources, build.spec)
        folder = str(self._files.folder.absolute())
        specs = Specs.of(build.spec, source_specs)
        task = SaveWeights(build.id, specs, format_name, dict(options), folder)
        reply = await while_connected(exchange, self._engine.run(task))
        exchange.timings.add(reply.seconds)
        saved = reply.result
        return await on_files(self._files.keep, build.id, suffix, Path(saved.path), saved.sha256)

    async def remove(self, build_id: str) -> None:
        """Remove the files of a build."""
        await on_files(self._files.remove, build_id)
