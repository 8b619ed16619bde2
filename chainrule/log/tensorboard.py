"""TensorBoard: event files, by the package `tensorboard` alone, which needs neither torch nor TensorFlow for it."""

import time
from collections.abc import Mapping
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.types_pb2 import DT_STRING
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from chainrule.log.tracker import logs_of
from chainrule.run import RunFolder


class TensorBoard:
    """Event files in the runs' folder under .logs/tensorboard/NAME."""

    def __init__(self, run: RunFolder, settings: Mapping[str, Any]) -> None:
        self._writer = EventFileWriter(str(logs_of(run, "tensorboard") / run.name))
        self.text(0, "settings", "\n".join(f"    {key} = {value!r}" for key, value in settings.items()))

    def figures(self, step: int, values: Mapping[str, float]) -> None:
        """Scalars."""
        found = [Summary.Value(tag=name, simple_value=value) for name, value in values.items()]
        self._writer.add_event(Event(wall_time=time.time(), step=step, summary=Summary(value=found)))

    def text(self, step: int, name: str, text: str) -> None:
        """Its Text page reads Markdown: an indented block stays as it is."""
        tensor = TensorProto(
            dtype=DT_STRING,
            string_val=[text.encode("utf-8", "backslashreplace")],
            tensor_shape=TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)]),
        )
        kind = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
        value = Summary.Value(tag=name, metadata=kind, tensor=tensor)
        self._writer.add_event(Event(wall_time=time.time(), step=step, summary=Summary(value=[value])))

    def close(self) -> None:
        """Writes what is waiting."""
        self._writer.close()
