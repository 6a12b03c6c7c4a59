from .grid import Statuses as Statuses
from .grid import experiment as experiment
from .loop import train as train
from .result import Result as Result
from .settings import Settings as Settings
from .task import Batch as Batch
from .task import Task as Task
from .tasks import TASKS as TASKS

__all__: list[str]
