"""A device with memory of its own, for machines without a GPU: what runs on it would not fail for a tensor left behind.

Importing it registers the device `elsewhere` with torch, for the whole process: scripts import it, tests run these.
Its tensors hold one of the processor, which does the arithmetic. An operation on tensors of both is refused where CUDA
refuses it, but for one number, which may come from anywhere. `counts` says how many operations were sent to the device
(`operations`; `views` beside them do nothing), and how often the processor would wait for a GPU (`waits`): for a value,
for a size that depends on values, or for memory that is copied while one waits.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils._python_dispatch import return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "elsewhere"
CPU = torch.device("cpu")
COPIES = ("aten::copy_", "aten::_to_copy")
INDEXED = ("aten::index", "aten::index_put_", "aten::_index_put_impl_")  # by places of the processor, too
JOINED = ("aten::cat", "aten::stack")  # a number of the processor is not joined
SIZED_BY_VALUES = ("aten::nonzero", "aten::masked_select", "aten::unique_dim", "aten::_unique2")
CONVOLUTIONS = ("aten::convolution", "aten::convolution_backward")
counts: Counter[str] = Counter()


class Elsewhere(torch.Tensor):
    """A tensor of the device."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> "Elsewhere":
        made = torch.Tensor._make_wrapper_subclass(
            cls, held.shape, strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype,
            device=DEVICE,
        )  # fmt: skip
        made.held = held
        return made

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Save it as what it holds."""
        return self.held.clone().__reduce_ex__(protocol)

    def tolist(self) -> Any:
        counts["waits"] += 1
        return self.held.tolist()

    @classmethod
    def __torch_dispatch__(cls, operation: Any, _types: Any, arguments: Any = (), options: Any = None) -> Any:
        return run(operation, arguments, options or {})


def run(operation: Any, arguments: Any, options: dict[str, Any]) -> Any:
    """Do an operation that has a tensor of the device among its arguments."""
    name = operation._schema.name
    note(operation, arguments, options)
    check(operation, arguments, options)
    if name == "aten::copy_" and not isinstance(arguments[0], Elsewhere):
        counts["waits"] += 1
        return arguments[0].copy_(arguments[1].held)
    target = options.get("device")
    is_leaving = target is not None and torch.device(target).type != NAME
    held_options = {key: value for key, value in options.items() if key != "pin_memory"}
    if target is not None:
        held_options["device"] = CPU
    held, held_options = tree_map_only(Elsewhere, lambda one: one.held, (arguments, held_options))
    with torch.no_grad():
        found = in_double(operation, held) if name in CONVOLUTIONS else operation(*held, **held_options)
    if is_leaving or name == "aten::_local_scalar_dense":
        counts["waits"] += 1
        return found
    return return_and_correct_aliasing(operation, arguments, options, tree_map_only(torch.Tensor, Elsewhere, found))


def note(operation: Any, arguments: Any, options: dict[str, Any]) -> None:
    """Count an operation, and whether a GPU is waited for."""
    name = operation._schema.name
    counts["views" if is_view(operation) else "operations"] += 1
    if name in SIZED_BY_VALUES or (name in INDEXED and any(is_waited_for(one) for one in tree_leaves(arguments[1]))):
        counts["waits"] += 1
    if name == "aten::copy_" and not isinstance(arguments[1], Elsewhere):
        is_free = arguments[2] if len(arguments) > 2 else options.get("non_blocking", False)
        if not is_free:
            counts["waits"] += 1


def is_view(operation: Any) -> bool:
    """Return whether an operation does nothing but look at a tensor in another way."""
    return any(one.alias_info is not None and not one.alias_info.is_write for one in operation._schema.returns)


def is_waited_for(one: Any) -> bool:
    """Return whether it is a mask, or places that are copied first."""
    return isinstance(one, torch.Tensor) and (one.dtype == torch.bool or not isinstance(one, Elsewhere))


def check(operation: Any, arguments: Any, options: dict[str, Any]) -> None:
    """Raise RuntimeError where CUDA would not take tensors of both."""
    name = operation._schema.name
    if name in COPIES:
        return
    given: Any = (arguments, options)
    if name in INDEXED:
        given = (arguments[0], *arguments[2:3])
    least = 0 if name in JOINED else 1
    for one in tree_leaves(given):
        if isinstance(one, torch.Tensor) and not isinstance(one, Elsewhere) and one.dim() >= least:
            raise RuntimeError(f"{operation}: a tensor of the CPU, {tuple(one.shape)}, among those of {NAME}")
    for name_of, one in options.items():
        if name_of.startswith("out") and not isinstance(one, Elsewhere):
            raise RuntimeError(f"{operation}: a result of the CPU, from tensors of {NAME}")


def in_double(operation: Any, held: Any) -> Any:
    """Convolve in double precision: the processor's own is wrong in single for small boxes (models/convolution.py)."""
    dtype = held[0].dtype
    found = operation(*tree_map_only(torch.Tensor, torch.Tensor.double, held))
    return tree_map_only(torch.Tensor, lambda one: one.to(dtype), found)


def factories() -> Iterator[tuple[str, Any]]:
    """Yield the operations that make a tensor of none."""
    for name in torch._C._dispatch_get_all_op_names():
        if not name.startswith("aten::"):
            continue
        base, _, overload = name.removeprefix("aten::").partition(".")
        try:
            operation = getattr(getattr(torch.ops.aten, base), overload or "default")
        except (AttributeError, RuntimeError):
            continue
        schema = operation._schema
        types = [str(one.type) for one in schema.arguments]
        is_one = len(schema.returns) == 1 and "Tensor" in str(schema.returns[0].type)
        if is_one and any(one.name == "device" for one in schema.arguments) and not any("Tensor" in t for t in types):
            yield name.removeprefix("aten::"), operation


def factory(operation: Any) -> Callable[..., Elsewhere]:
    def make(*arguments: Any, **options: Any) -> Elsewhere:
        counts["operations"] += 1
        kept = {key: value for key, value in options.items() if key not in ("device", "pin_memory")}
        return Elsewhere(operation(*arguments, **kept, device=CPU))

    return make


def copy_from(source: Any, target: Any, non_blocking: bool = False) -> Any:
    counts["operations"] += 1
    if not isinstance(target, Elsewhere) or not (non_blocking or isinstance(source, Elsewhere)):
        counts["waits"] += 1
    held = [one.held if isinstance(one, Elsewhere) else one for one in (target, source)]
    held[0].copy_(held[1])
    return target


_setup_privateuseone_for_python_backend(NAME)
DEVICE = torch.device(NAME, 0)
library = torch.library.Library("aten", "IMPL")
for _name, _operation in factories():
    library.impl(_name, factory(_operation), "PrivateUse1")
library.impl("_copy_from", copy_from, "PrivateUse1")
