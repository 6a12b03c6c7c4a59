from .grid import Experiment as Experiment
from .grid import experiment as experiment
from .loop import Result as Result
from .loop import train as train
from .settings import Settings as Settings
from .tasks import TASKS as TASKS
from .tasks._contract import Batch as Batch
from .tasks._contract import Task as Task

__all__: list[str]
