import pytest
import torch

from trainables.settings.precision import has_bf16

CPU = torch.device("cpu")


def _with(monkeypatch, *instructions, onednn=True, limit=None):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: dict.fromkeys(instructions, True))
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: onednn)
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA", raising=False)
    if limit is not None:
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)


@pytest.mark.parametrize("name", ["avx512_bf16", "amx_bf16", "bf16", "sve_bf16"])
def test_a_processor_that_multiplies_bf16_has_it(monkeypatch, name):
    _with(monkeypatch, "avx2", name)
    assert has_bf16(CPU)


def test_one_with_avx2_emulates_it(monkeypatch):
    _with(monkeypatch, "avx2", "fma3")
    assert not has_bf16(CPU)


def test_a_torch_without_onednn_emulates_it(monkeypatch):
    _with(monkeypatch, "bf16", onednn=False)
    assert not has_bf16(CPU)


@pytest.mark.parametrize(
    ("limit", "has"),
    [("AVX2", False), ("avx512_core", False), ("AVX512_CORE_BF16", True), ("avx512_core_amx", True),
     ("ALL", True)],
)  # fmt: skip
def test_one_that_is_kept_from_newer_instructions_emulates_it(monkeypatch, limit, has):
    _with(monkeypatch, "avx512_bf16", limit=limit)
    assert has_bf16(CPU) is has
