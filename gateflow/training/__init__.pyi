from .exporting import export as export
from .grid import Statuses as Statuses
from .grid import experiment as experiment
from .loop import train as train
from .rates import RateTest as RateTest
from .rates import lr_range as lr_range
from .result import Result as Result
from .settings import Settings as Settings
from .task import Batch as Batch
from .task import Task as Task
from .tasks import TASKS as TASKS
from .texts import PredictedText as PredictedText
from .texts import Vocabulary as Vocabulary
from .trained import Predicted as Predicted
from .trained import Trained as Trained
from .trained import load as load

__all__: list[str]
