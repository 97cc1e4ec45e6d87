"""Writes arrays and scalars of numpy and tables of pandas as JSON, and restores them, where these are loaded."""

from __future__ import annotations

import sys
from typing import Any

_NUMPY = "numpy:"
_FRAME = "pandas:DataFrame"
_SERIES = "pandas:Series"
OF_DTYPE = ("ndarray", "datetime64", "timedelta64")
"""Types of numpy that do not say the dtype."""


def is_table(value: Any) -> bool:
    """Whether a value is an array or scalar of numpy, or a table or column of pandas."""
    kind: Any = type(value)
    module = kind.__module__.partition(".")[0]
    return (module == "numpy" and hasattr(kind, "dtype")) or (
        module == "pandas" and kind.__name__ in ("DataFrame", "Series")
    )


def name_of(value: Any) -> str:
    """The type's name: ``numpy:float64``, ``numpy:ndarray of int64``, ``pandas:DataFrame``."""
    kind = type(value)
    if kind.__module__.startswith("pandas"):
        return f"pandas:{kind.__name__}"
    return f"{_NUMPY}{kind.__name__}" + (f" of {value.dtype}" if kind.__name__ in OF_DTYPE else "")


def is_name(name: str) -> bool:
    """Whether `name_of` gives such a name."""
    return name.startswith(_NUMPY) or name in (_FRAME, _SERIES)


def written(value: Any) -> Any:
    """A value one step nearer to JSON."""
    if type(value).__name__ == "datetime64":
        return str(value)
    if type(value).__name__ == "timedelta64":
        return int(value.astype("int64"))
    if not type(value).__module__.startswith("pandas"):
        return value.tolist()
    if type(value).__name__ == "Series":
        return {"name": value.name, "table": written(value.to_frame("value"))}
    return {
        "columns": value.columns.tolist(),
        "index": _index(value.index),
        "dtypes": [str(dtype) for dtype in value.dtypes],
        "data": [_cells(value.iloc[:, number]) for number in range(value.shape[1])],
    }


def parts(value: Any) -> list[tuple[str, Any]]:
    """What two equal values of one type have alike."""
    if not type(value).__module__.startswith("pandas"):
        return [("dtype", str(value.dtype)), ("shape", value.shape), ("items", value.tolist())]
    axes = (value.index,) if type(value).__name__ == "Series" else (value.index, value.columns)
    return [
        *written(value).items(),
        *(("axis", (type(axis), list(axis.names), str(axis.dtype))) for axis in axes),
    ]


def restored(inner: Any, name: str) -> Any:
    """The value that `written` wrote; raises whatever numpy or pandas raise for what is none of theirs."""
    library = sys.modules[name.partition(":")[0]]
    if name == _FRAME:
        return _frame(library, inner)
    if name == _SERIES:
        return _frame(library, inner["table"])["value"].rename(inner["name"])
    kind, _, dtype = name.removeprefix(_NUMPY).partition(" of ")
    if kind == "ndarray":
        return library.array(inner, dtype=dtype)
    if kind in OF_DTYPE:
        return library.array(inner, dtype=dtype)[()]
    made = vars(library)[kind]
    if not issubclass(made, library.generic):
        raise TypeError(f"{name} is no scalar")
    return made(inner)


def _frame(pandas: Any, inner: dict[str, Any]) -> Any:
    index = inner["index"]
    index = pandas.RangeIndex(*index["range"]) if isinstance(index, dict) else pandas.Index(index)
    columns = [
        pandas.Series(cells, index=index, dtype=object).astype(dtype)
        for cells, dtype in zip(inner["data"], inner["dtypes"], strict=True)
    ]
    frame = pandas.DataFrame(dict(enumerate(columns)), index=index)
    frame.columns = pandas.Index(inner["columns"])
    return frame


def _index(index: Any) -> Any:
    if type(index).__name__ == "RangeIndex":
        return {"range": [index.start, index.stop, index.step]}
    return _cells(index)


def _cells(column: Any) -> list[Any]:
    """The cells as JSON values, as far as they can be ones; the column's type restores the rest."""
    if column.dtype == object:
        return list(column.tolist())
    return [_cell(cell) for cell in column.tolist()]


def _cell(cell: Any) -> Any:
    if cell is None or cell != cell:
        return None
    return cell.isoformat() if hasattr(cell, "isoformat") else cell
