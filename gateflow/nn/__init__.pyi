from .cells import CELLS as CELLS
from .cells.gru import GRU as GRU
from .cells.janet import JANET as JANET
from .cells.lstm import LSTM as LSTM
from .cells.noisy import NoisyLSTM as NoisyLSTM
from .cells.nru import NRU as NRU
from .cells.refine import RefineLSTM as RefineLSTM
from .cells.ur_lstm import URLSTM as URLSTM
from .dropin import GRUCell as GRUCell
from .dropin import LSTMCell as LSTMCell
from .dropin import TorchGRU as TorchGRU
from .dropin import TorchLSTM as TorchLSTM
from .dropin import replace as replace
from .functional import GateFunction as GateFunction
from .functional import gate_function as gate_function
from .inits import INITS as INITS
from .int8 import Int8 as Int8
from .int8 import int8_weights as int8_weights
from .linear.lru import LRU as LRU
from .linear.mingru import MinGRU as MinGRU
from .linear.minlstm import MinLSTM as MinLSTM
from .linear.rg_lru import RGLRU as RGLRU
from .linear.selective import SelectiveDecay as SelectiveDecay
from .scans import scan as scan

__all__: list[str]
