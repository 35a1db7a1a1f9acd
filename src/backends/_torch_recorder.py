"""Collects what the watchers of all threads report; knows the module hooks and undoes them."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import nn

from attncore.coverage import CoverageEntry
from attncore.protocols import CaptureOptions
from attncore.selection import parts_of

from ._torch_allocator import keep_freed_memory
from ._torch_arrays import memory_address
from ._torch_calls import RootCall, note_call
from ._torch_held import HeldMemory
from ._torch_hook_plan import HookPlan, plan_hooks
from ._torch_keep import keep
from ._torch_record import Place, Record
from ._torch_sites import Sites
from ._torch_steps import link, may_be_meant, note_growth
from ._torch_switches import switch_off, switch_on
from ._torch_tails import Tails
from ._torch_unseen import versions_of
from ._torch_watch import Watcher, in_backward

_KEPT = ("weights", "query", "key", "value")


class _Thread(threading.local):
    """What belongs to one thread: what follows it, and whether the outermost module is running."""

    def __init__(self) -> None:
        self.tails: Tails | None = None
        self.watching = False


class Recorder:
    """One capture of one module: hooks, watchers and records. It never holds the session that made it."""

    def __init__(self, model: nn.Module, options: CaptureOptions) -> None:
        self.model = model
        self.options = options
        self.layer_parts = parts_of(options.layers)
        self.records: list[Record] = []
        self.refused: dict[tuple[str, str, str], CoverageEntry] = {}
        self.ran: Counter[str] = Counter()
        self.plan = HookPlan()
        self.roots: list[RootCall] = []
        # The outermost modules of the call under way, and what a method was given that calls them one by one.
        self._parts: set[str] = set()
        self._given: RootCall | None = None
        self.outputs: list[Any] = []
        self._calls_of_name: Counter[tuple[str, int]] = Counter()
        self._last_of: dict[tuple[str, int], Record] = {}
        self.held = HeldMemory()
        self._handles: list[Any] = []
        self._local = _Thread()
        self._watchers: list[Watcher] = []
        self._lock = threading.RLock()
        self._on = False
        self._parameters: frozenset[int] | None = None

    # Lifetime.

    def open(self) -> None:
        """Put the hooks on every module; all or none."""
        keep_freed_memory()
        try:
            switch_on()
            self._on = True
            self.plan = plan_hooks(self.model)
            self._put_hooks()
        except BaseException:
            self.close()
            raise

    def _put_hooks(self) -> None:
        for name in self.plan.scripted:
            self.refused[(name, "scripted", "")] = CoverageEntry(
                name, "ScriptModule", "opaque", "compiled by torch.jit; use the module it was scripted from"
            )
        for name, module in self.plan.hooked:
            self._handles += [
                module.register_forward_pre_hook(partial(self._before, name), with_kwargs=True),
                # First of all post-hooks, so that captures inside each other end in reverse order.
                module.register_forward_hook(
                    partial(self._after, name), with_kwargs=True, prepend=True, always_call=True
                ),
            ]

    def close(self) -> None:
        """Take everything off again; also when a forward was interrupted half way."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._leave()
        if self._on:
            self._on = False
            switch_off()
        self.held.clear()
        # No circle of references is left: what was captured goes with the last who holds it, not some time later.
        for watcher in self._watchers:
            watcher.forget()
        self._watchers.clear()
        self._local = _Thread()

    def _parameter_memory(self) -> frozenset[int]:
        """The addresses of the memory of the model's weights, found out when first asked for.

        Buffers count too, as quantized layers keep their weights in them: all but floating ones of more than two
        dimensions, which are caches and tables of positions.
        """
        if self._parameters is None:
            with torch._C.DisableTorchFunction():
                held: list[torch.Tensor] = []
                for module in self.model.modules():  # one walk: `parameters` and `buffers` take one each, and longer
                    held += [one for one in module._parameters.values() if one is not None]
                    buffers = [one for one in module._buffers.values() if one is not None]
                    held += [one for one in buffers if one.dim() <= 2 or not one.is_floating_point()]
                self._parameters = frozenset(map(memory_address, held)) - {0}
        return self._parameters

    # Module hooks.

    def _before(self, name: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if in_backward():
            return
        local = self._local
        if local.tails is None:
            watcher = Watcher(Sites(self), self._parameter_memory)
            local.tails = Tails(watcher, self.plan)
            self._watchers.append(watcher)
        if not local.watching:
            self._enter_root(name, module, args, kwargs)
            local.watching = True
            local.tails.start()
            local.tails.watcher.start((*args, *kwargs.values()), self.roots[-1].inputs)
        with self._lock:
            call = self.ran[name]
            self.ran[name] = call + 1
            root = len(self.roots) - 1
            if kwargs and name:
                note_call(self.roots[root], name, kwargs)
        local.tails.sites.stack.append(Place(name, call, type(module).__name__, root))
        local.tails.begin(name, module, (*args, *kwargs.values()))

    def begin_call(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """The user calls the model, or a function that runs it: its parts, if it runs them one by one, are one call."""
        self._parts.clear()
        self._given = None if function is self.model else RootCall.of(self.model, args, kwargs, function)

    def _enter_root(self, name: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        root = RootCall.of(module, args, kwargs)
        with self._lock:
            if name and self._parts and "" not in self._parts and name not in self._parts:
                self.roots[-1].join(name, root)
            else:
                self.roots.append(root)
                self._parts.clear()
                if name and self._given is not None:
                    root.join("", self._given)
                    self._given = None  # it is of this call alone
            self._parts.add(name)

    def _after(self, name: str, module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        tails = self._local.tails
        if in_backward() or tails is None:
            return
        tails.end(name, output)
        stack = tails.sites.stack
        # After an exception deeper down the stack may hold calls that did not end.
        while stack and stack.pop().name != name:
            continue
        if not stack:
            self._leave()

    def _leave(self) -> None:
        local = self._local
        if local.watching and local.tails is not None:
            local.watching = False
            local.tails.watcher.stop()
            local.tails.clear()
            local.tails.sites.stack.clear()
            local.tails.sites.finish()

    # Reports.

    def add(self, record: Record) -> None:
        """Number a record and keep of it what the options ask for."""
        with self._lock:
            last = self.records[-1] if self.records else None
            record.index, in_call = len(self.records), (record.name, record.place.root_call)
            record.call = self._calls_of_name[in_call]
            self._calls_of_name[in_call] += 1
            self.records.append(record)
            before = self._last_of.get((record.name, record.call))
            self._last_of[(record.name, record.call)] = record
            if before is not None and before.place.root_call != record.place.root_call - 1:
                before = None
            if self.layer_parts is not None:
                # What is reduced is never a part of a generation.
                note_growth(record, before if self.options.reduce is None else None, last, self._calls_of_name)
                record.wanted = may_be_meant(self.layer_parts, record, self._calls_of_name)
        if record.wanted:
            keep(record, self.options)
            self.held.remember(record, *_KEPT, "value_for_gradient")
            if record.scoring is not None:
                self.held.remember(record.scoring, "mask", "bias")
            if before is not None:
                with torch._C.DisableTorchFunction(), torch.no_grad():
                    link(before, record)
            record.versions = versions_of(record)
        else:
            for name in _KEPT:
                setattr(record, name, None)
            record.scoring, record.computed_weights = None, None

    def take_back(self, record: Record) -> None:
        """Drop a record, because another takes its place or none does."""
        with self._lock:
            if record in self.records:
                self.records.remove(record)

    def reject(self, record: Record, reason: str) -> None:
        """Take back a record that turned out not to be a (query, key) matrix."""
        self.take_back(record)
        self.refuse(record.place, record.source, reason, record.shape)

    def refuse(
        self, place: Place, what: str, reason: str, shape: tuple[int, ...] | None, *, opaque: bool = False
    ) -> None:
        """Note something for the coverage; the same thing in the same place is counted."""
        key = (place.name, what, reason)
        with self._lock:
            known = self.refused.get(key)
            if known is not None:
                self.refused[key] = replace(known, count=known.count + 1)
            else:
                self.refused[key] = CoverageEntry(place.name, what, "opaque" if opaque else "rejected", reason, shape)
