import pytest

from contract.methods import METHODS, WITH_ENCODER
from trainables.networks.encoders.naming import encoder_folder, encoder_method

WITH = [name for name, one in METHODS.items() if one.network in WITH_ENCODER]


@pytest.mark.parametrize("name", WITH)
def test_every_method_of_such_a_network_can_have_an_encoder(name):
    base, found = METHODS[name], encoder_method(f"{name}:facebook/convnextv2-tiny-1k-224")
    assert found.name == f"{name}-convnextv2-tiny-1k-224"
    assert found.label == f"{base.label}, convnextv2-tiny-1k-224"
    assert found.network == WITH_ENCODER[base.network]
    assert (found.unannotated, found.is_baseline) == (base.unannotated, base.is_baseline)
    assert found.encoder == "facebook/convnextv2-tiny-1k-224"
    assert found.published_table is None, "the paper's scores are of another network"


def test_a_folder_names_the_method_by_its_own_name(tmp_path, monkeypatch):
    folder = tmp_path / "my nets" / "ResNet_1.5"
    folder.mkdir(parents=True)
    for text in (str(folder), f"{folder}/", f"{folder}/."):
        found = encoder_method(f"urec:{text}")
        assert (found.name, found.label) == ("urec-ResNet_1-5", "U-REC, ResNet_1.5")
        assert found.encoder == text
    monkeypatch.chdir(folder)
    assert encoder_method("urec:.").name == "urec-ResNet_1-5"
    assert encoder_method("urec:..", num_words=2).name.endswith("-my-nets")


def test_two_words_tell_encoders_of_one_name_apart():
    names = [encoder_method(f"unet:{who}/tiny", num_words=2) for who in ("a", "b")]
    assert [one.name for one in names] == ["unet-a-tiny", "unet-b-tiny"]
    assert [one.label for one in names] == ["U-Net, a/tiny", "U-Net, b/tiny"]


@pytest.mark.parametrize(
    "text", ["mynets:unet", "mynets.rows:DEEP", "unet", "unet:", ":a/b", "x:a/b"]
)
def test_what_is_no_method_with_an_encoder(text):
    assert encoder_method(text) is None


def test_a_factory_of_a_module_named_as_a_method_stays_one(tmp_path, monkeypatch):
    """`unet:UNet` was somebody's network before there were encoders."""
    assert encoder_method("unet:UNet").encoder == "UNet"
    (tmp_path / "unet.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    assert encoder_method("unet:UNet") is None
    assert encoder_method("unet:./UNet").encoder == "./UNet"
    assert encoder_method("unet:facebook/UNet").encoder == "facebook/UNet"


def test_a_folder_in_the_home_is_found(tmp_path, monkeypatch):
    """A shell leaves the ~ of `unet:~/net` as it is."""
    (tmp_path / "net").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    assert encoder_folder("~/net") == tmp_path / "net"
    assert encoder_folder("~/other") is None
