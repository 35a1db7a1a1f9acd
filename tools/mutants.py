"""Ways to break the capture core that would give wrong numbers, or a changed model, in silence; each with its tests.

A mutant replaces one piece of text by another. The text must be in its file exactly once, so that a table which no
longer fits the source fails loudly.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """One fault: where, what, and the tests that must notice it."""

    fault: str
    path: str
    before: str
    after: str
    tests: tuple[str, ...]


_WEIGHTS = ("tests/test_weights.py",)
_STORAGE = ("tests/test_storage.py",)
_CASES = ("tests/torch/test_torch_cases.py",)
_OPTIONS = ("tests/torch/test_torch_options.py",)
_UNTOUCHED = ("tests/torch/test_torch_untouched.py",)
_TAILS = ("tests/torch/test_torch_tails.py",)
_REST = ("tests/torch/test_torch_rest.py",)
_LAYOUTS = ("tests/torch/test_torch_layouts.py",)
_MODES = ("tests/torch/test_torch_modes.py",)
_JAX = ("tests/jax/test_jax_options.py", "tests/jax/test_jax_transforms.py")
_FIND = ("tests/test_dataflow_find.py", "tests/jax/test_jax_cases.py")

MUTANTS = (
    # The formula, in numpy.
    Mutant(
        "formula: wrong scale",
        "src/attncore/scoring.py",
        "scores *= kind(scoring.scale)",
        "scores *= kind(scoring.scale * 1.01)",
        _WEIGHTS,
    ),
    Mutant(
        "formula: causal mask aligned to the other corner",
        "src/attncore/scoring.py",
        "last = rows[:, None] + scoring.causal_offset",
        "last = rows[:, None] - scoring.causal_offset",
        _WEIGHTS,
    ),
    Mutant(
        "formula: window off by one",
        "src/attncore/scoring.py",
        "near &= position > last - scoring.window",
        "near &= position >= last - scoring.window",
        _WEIGHTS,
    ),
    Mutant(
        "formula: mask ignored",
        "src/attncore/scoring.py",
        "    if scoring.mask is not None:\n        allowed = broadcast_part(scoring.mask, parts)",
        "    if scoring.mask is not None:\n        allowed = None",
        _WEIGHTS,
    ),
    Mutant(
        "formula: softcap ignored",
        "src/attncore/scoring.py",
        "if scoring.softcap is not None:",
        "if scoring.softcap is not None and scoring.softcap < 0:",
        _WEIGHTS,
    ),
    Mutant(
        "formula: bias added before the softcap",
        "src/attncore/scoring.py",
        "scores *= kind(scoring.scale)\n",
        "scores *= kind(scoring.scale)\n"
        "    if scoring.bias is not None:\n"
        "        scores = scores + broadcast_part(scoring.bias, parts)\n"
        "        scoring = __import__('dataclasses').replace(scoring, bias=None)\n",
        _WEIGHTS,
    ),
    Mutant(
        "formula: sinks dropped",
        "src/attncore/scoring.py",
        "total = total + np.exp(sinks[:, None, None] - peak)",
        "total = total + 0 * np.exp(sinks[:, None, None] - peak)",
        _WEIGHTS,
    ),
    Mutant(
        "formula: sinks of the first heads, whichever were asked for",
        "src/attncore/scoring.py",
        "sinks = all_sinks[heads]",
        "sinks = all_sinks[: len(heads)]",
        _WEIGHTS,
    ),
    Mutant(
        "formula: grouped heads tiled, not repeated",
        "src/attncore/weights.py",
        "kv_heads = heads // self.group",
        "kv_heads = heads % self.key.shape[1]",
        _WEIGHTS,
    ),
    Mutant(
        "formula: selected heads in reverse",
        "src/attncore/weights.py",
        "self.heads = np.asarray(heads, dtype=np.intp)",
        "self.heads = np.asarray(heads[::-1], dtype=np.intp)",
        (*_WEIGHTS, "tests/test_selected_heads.py"),
    ),
    Mutant(
        "formula: batch items that share a query take the first key",
        "src/attncore/weights.py",
        "key = _take(self.key, _shared(batch, self.key), distinct, None)",
        "key = _take(self.key, _shared(batch, self.query), distinct, None)",
        _WEIGHTS,
    ),
    # The same in torch, for weights that are held.
    Mutant(
        "PyTorch: causal mask aligned to the other corner",
        "src/backends/_torch_probabilities.py",
        "device=scores.device).triu_(1)",
        "device=scores.device).triu_(1 + columns - rows)",
        ("tests/torch/test_torch_formula.py", *_CASES),
    ),
    Mutant(
        "PyTorch: grouped heads tiled, not repeated",
        "src/backends/_torch_probabilities.py",
        "grouped = query.reshape(batch, kv_heads, heads // kv_heads * rows, dim)",
        "grouped = query.unflatten(1, (-1, kv_heads)).transpose(1, 2).reshape(batch, kv_heads, -1, dim)",
        ("tests/torch/test_torch_formula.py", *_CASES),
    ),
    Mutant(
        "PyTorch: padded rows not zeroed",
        "src/backends/_torch_probabilities.py",
        "return scores.masked_fill_(empty, 0.0) if bool(empty.any()) else scores",
        "return scores",
        ("tests/torch/test_torch_formula.py", *_CASES),
    ),
    Mutant(
        "PyTorch: bias ignored",
        "src/backends/_torch_probabilities.py",
        "if scoring.bias is not None:\n",
        "if scoring.bias is not None and scoring.causal:\n",
        ("tests/torch/test_torch_formula.py", *_CASES),
    ),
    # What the watcher makes of a model's own dimensions.
    Mutant(
        "PyTorch: query and key axes swapped",
        "src/backends/_torch_pieces.py",
        "    applied = layout.apply(weights.detach())\n",
        "    applied = layout.apply(weights.detach()).transpose(-1, -2).contiguous()\n",
        _CASES,
    ),
    Mutant(
        "PyTorch: heads in reverse",
        "src/backends/_torch_layout.py",
        "return split.permute(*order, len(parts)).reshape(*sizes, tensor.shape[-1])",
        "return split.permute(*order, len(parts)).reshape(*sizes, tensor.shape[-1]).flip(1)",
        _CASES,
    ),
    Mutant(
        "PyTorch: a router taken for attention",
        "src/backends/_torch_sites.py",
        "        if entry.learned_scores:",
        "        if entry.learned_scores and entry.scores is not None:",
        ("tests/torch/test_torch_rejected.py",),
    ),
    Mutant(
        "PyTorch: self-attention called cross-attention",
        "src/backends/_torch_fused.py",
        "if query_stream == key_stream is not None:",
        "if query_stream != key_stream is not None:",
        _CASES,
    ),
    Mutant(
        "PyTorch: what is overwritten later is not copied",
        "src/backends/_torch_held.py",
        "copies[key] = tensor.clone()",
        "copies[key] = tensor",
        (*_OPTIONS, *_CASES),
    ),
    Mutant(
        "PyTorch: what could not be captured is not reported",
        "src/backends/_torch_recorder.py",
        'self.refused[key] = CoverageEntry(place.name, what, "opaque" if opaque else "rejected", reason, shape)',
        "del shape",
        _CASES,
    ),
    # Tails of blocks are followed wherever attention might come of them.
    Mutant(
        "PyTorch: a product in a block's own code taken for a layer",
        "src/backends/_torch_plain.py",
        'return "@" in step.argrepr or step.argrepr.endswith("=")',
        'return step.argrepr.endswith("=")',
        _TAILS,
    ),
    Mutant(
        "PyTorch: a write in a block's own code taken for a layer",
        "src/backends/_torch_plain.py",
        'return "@" in step.argrepr or step.argrepr.endswith("=")',
        'return "@" in step.argrepr',
        _TAILS,
    ),
    Mutant(
        "PyTorch: a block taken to call its attention once",
        "src/backends/_torch_hooked.py",
        "        for name in self._plain.mentioned_again(type(module), forward):",
        "        for name in ():",
        _TAILS,
    ),
    Mutant(
        "PyTorch: anybody's decorator taken to do nothing",
        "src/backends/_torch_hooked.py",
        "            if not _is_of_known_library(forward):",
        "            if False:",
        _TAILS,
    ),
    Mutant(
        "PyTorch: somebody's hooks on layers overlooked",
        "src/backends/_torch_tails.py",
        "            if module._forward_hooks or module._forward_pre_hooks or",
        "            if",
        _TAILS,
    ),
    Mutant(
        "PyTorch: a tail begins before the block's last attention",
        "src/backends/_torch_tails.py",
        "        if block.left:\n            return\n",
        "",
        _TAILS,
    ),
    Mutant(
        "PyTorch: what a block gives is not known after its tail",
        "src/backends/_torch_tails.py",
        "            table.set(tensor, tag.replaced(dims=dims, stream=stream, moves=moves))",
        "            del dims, stream, moves",
        _TAILS,
    ),
    Mutant(
        "PyTorch: positions that a model turns around keep their labels",
        "src/backends/_torch_moves.py",
        "        move = _turned(function, args, kwargs, out)",
        "        move = None",
        ("tests/torch/test_torch_reordered.py",),
    ),
    Mutant(
        "JAX, TensorFlow: positions that a model turns around keep their labels",
        "src/attncore/dataflow_moves.py",
        "    return _changed(axis, _turned)",
        "    return axis",
        ("tests/jax/test_jax_order.py",),
    ),
    Mutant(
        "JAX, TensorFlow: heads in the order of the scores, not of the query projection",
        "src/attncore/dataflow_order.py",
        "    number = {place: at for at, place in enumerate(laid_out)} if laid_out is not None else {}",
        "    number = dict.fromkeys(laid_out or (), 0)",
        ("tests/jax/test_jax_head_order.py",),
    ),
    Mutant(
        "PyTorch: the function mode stays off after a tail",
        "src/backends/_torch_tails.py",
        "        self.off = False\n        self.watcher.resume()",
        "        self.off = False",
        _TAILS,
    ),
    Mutant(
        "PyTorch: a function that waits for the kernel's result is overlooked",
        "src/backends/_torch_rest.py",
        "        if after < least or touched > depth:\n            return None\n",
        "",
        _REST,
    ),
    Mutant(
        "PyTorch: handlers of exceptions after a kernel are overlooked",
        "src/backends/_torch_rest.py",
        "if code.co_exceptiontable or not",
        "if not",
        _REST,
    ),
    Mutant(
        "PyTorch: a kernel called in another place taken for the known one",
        "src/backends/_torch_rest.py",
        " or frame.f_lasti != place",
        "",
        _REST,
    ),
    Mutant(
        "PyTorch: functions of other tensor classes are switched off",
        "src/backends/_torch_tails.py",
        "block.last is None or foreign or",
        "block.last is None or",
        _REST,
    ),
    Mutant(
        "PyTorch: functions of other classes of the module's own tensors are switched off",
        "src/backends/_torch_hook_plan.py",
        "for one in (module, *layers)",
        "for one in layers",
        _REST,
    ),
    Mutant(
        "PyTorch: functions of other classes of a module's arguments are switched off",
        "src/backends/_torch_tails.py",
        "self.watcher.is_alone() and all(type(tensor) in OWN_CLASSES for tensor in tensors_in(given))",
        "self.watcher.is_alone()",
        _REST,
    ),
    Mutant(
        "PyTorch: a function mode that the model enters is switched off",
        "src/backends/_torch_tails.py",
        "return self.watcher.is_alone() and",
        "return",
        _REST,
    ),
    Mutant(
        "PyTorch: a method of an object that was passed in taken for PyTorch's function",
        "src/backends/_torch_plain.py",
        "known = mentions.others <= _OF_TENSORS and",
        "known = mentions.others <= _OF_PYTORCH and",
        _REST,
    ),
    Mutant(
        "PyTorch: writes by name after a kernel are overlooked",
        "src/backends/_torch_plain.py",
        "isinstance(constant, tuple) and not _WRITES.isdisjoint(constant)",
        "False",
        _REST,
    ),
    Mutant(
        "PyTorch: positions that a layer made taken for heads",
        "src/backends/_torch_dims.py",
        "if own is None or not any(",
        "if True or not any(",
        _LAYOUTS,
    ),
    Mutant(
        "PyTorch: causal biases read as tensors",
        "src/backends/_torch_findings.py",
        "    if type(mask) in OWN_CLASSES:\n        return mask\n    bias",
        "    return mask\n    bias",
        _LAYOUTS,
    ),
    Mutant(
        "PyTorch: function modes stay off after an interrupt",
        "src/backends/_torch_watch.py",
        'nothing is done when that is so already."""\n        self._release()',
        'nothing is done when that is so already."""',
        _REST,
    ),
    # What is found once for all layers is still told apart.
    Mutant(
        "PyTorch: all projections of a tensor taken for the same features",
        "src/backends/_torch_products.py",
        "        tag.projections += 1\n",
        "",
        ("tests/torch/test_torch_dims.py",),
    ),
    Mutant(
        "PyTorch: all parts of a fused projection taken for the same features",
        "src/backends/_torch_joins.py",
        "part_of(tag.dims, axis, int(part.shape[axis]), number)",
        "part_of(tag.dims, axis, int(part.shape[axis]), 0 * number)",
        ("tests/torch/test_torch_dims.py",),
    ),
    Mutant(
        "PyTorch: a tensor given back as it is taken for a new one",
        "src/backends/_torch_follow.py",
        "        return  # the same tensor, as `to` returns that of the right type\n",
        "        tagged[0][1].written = False\n",
        ("tests/torch/test_torch_written.py",),
    ),
    # The model stays as it was, and calls are told apart.
    Mutant(
        "PyTorch: hooks not removed",
        "src/backends/_torch_recorder.py",
        "            handle.remove()",
        "            pass",
        _UNTOUCHED,
    ),
    Mutant(
        "PyTorch: the random state touched",
        "src/backends/_torch_recorder.py",
        "        local.watching = True\n",
        "        local.watching = True\n        torch.rand(1)\n",
        _UNTOUCHED,
    ),
    Mutant(
        "PyTorch: the output changed in its last bits",
        "src/backends/_torch_products.py",
        '        self.project(args[0] if args else kwargs["input"], out, (-1,))\n',
        '        self.project(args[0] if args else kwargs["input"], out, (-1,))\n        out.data.mul_(1 + 1e-6)\n',
        _UNTOUCHED,
    ),
    Mutant(
        "PyTorch: process-wide switches not undone",
        "src/backends/_torch_switches.py",
        "            _undo.close()",
        "            pass",
        (*_MODES, *_UNTOUCHED),
    ),
    Mutant(
        "PyTorch: freed memory goes back to the system",
        "src/backends/_torch_recorder.py",
        "        keep_freed_memory()\n",
        "        pass\n",
        ("tests/torch/test_torch_memory.py",),
    ),
    Mutant(
        "PyTorch: every call of a layer is its first",
        "src/backends/_torch_assemble.py",
        "        seen[record.name] += 1",
        "        seen[record.name] += 0",
        (*_OPTIONS, *_MODES),
    ),
    Mutant(
        "PyTorch: generation steps padded on the wrong side",
        "src/backends/_torch_generation.py",
        "return torch.nn.functional.pad(allowed.expand(batch, -1, -1, -1), (0, keys - columns))",
        "return torch.nn.functional.pad(allowed.expand(batch, -1, -1, -1), (keys - columns, 0))",
        _OPTIONS,
    ),
    Mutant(
        "PyTorch: float16 weights read as float32",
        "src/backends/_torch_arrays.py",
        "_NUMPY_TYPES = (torch.float64, torch.float32, torch.float16,",
        "_NUMPY_TYPES = (torch.float64, torch.float32,",
        (*_MODES, *_OPTIONS),
    ),
    Mutant(
        "PyTorch: heads= picks the first ones",
        "src/backends/_torch_keep.py",
        "return tensor[:, (chosen // group).to(tensor.device)]",
        "return tensor[:, (torch.arange(len(chosen)) // group).to(tensor.device)]",
        _OPTIONS,
    ),
    # Files.
    Mutant(
        "file: layers loaded in reverse",
        "src/attncore/stored_trace.py",
        'for layer in described["layers"])',
        'for layer in reversed(described["layers"]))',
        _STORAGE,
    ),
    Mutant(
        "file: the causal offset lost in a file",
        "src/attncore/stored_trace.py",
        'causal_offset=_integer(described["causal_offset"])',
        'causal_offset=0 * _integer(described["causal_offset"])',
        _STORAGE,
    ),
    Mutant(
        "file: bfloat16 shifted by a bit too few",
        "src/attncore/arrays.py",
        "<< np.uint32(16)",
        "<< np.uint32(15)",
        (*_STORAGE, *_OPTIONS),
    ),
    # What JAX, TensorFlow and ONNX share.
    Mutant(
        "dataflow: learned keys taken for attention",
        "src/attncore/dataflow_find.py",
        "    if not provenance.is_data(key):\n        return True\n    atoms",
        "    atoms",
        _FIND,
    ),
    Mutant(
        "dataflow: query and key told the wrong way round",
        "src/attncore/dataflow_roles.py",
        "return 1 if any(scores.result[at] not in scores.left for at in keys) else 0",
        "return 0 if any(scores.result[at] not in scores.left for at in keys) else 1",
        _FIND,
    ),
    Mutant(
        "dataflow: batch taken for heads",
        "src/attncore/dataflow_roles.py",
        'roles[place] = "batch" if data and PARAMETER not in atom.tags else "heads"',
        'roles[place] = "heads"',
        _FIND,
    ),
    Mutant(
        "dataflow: items of a batch in a loop taken for calls",
        "src/attncore/dataflow_turns.py",
        'return "batch" if of_key & (operation.stacked_inputs | carried) else "queries"',
        'return "calls"',
        ("tests/jax/test_jax_cases.py",),
    ),
)
