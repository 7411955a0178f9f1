import numpy as np

from analysis.pictures.sheet_drawing import draw_sheet
from analysis.pictures.sheets import Cell, Sheet


def colored_sheet(*sizes: tuple[int, int]) -> Sheet:
    cells = [
        Cell(
            title=f"a very long title of a picture {i} " * 3,
            pixels=np.full((*size, 3), (10 + i, 200, 30), np.uint8),
        )
        for i, size in enumerate(sizes)
    ]
    return Sheet(
        title="word " * 60, rows=(tuple(cells),), captions=("caption",),
        legend=tuple(("#0A141E", f"entry number {i}") for i in range(30)),
    )  # fmt: skip


def count(drawn: np.ndarray, color: tuple[int, int, int]) -> int:
    return int((drawn == color).all(axis=2).sum())


def test_small_pictures_are_enlarged_by_whole_pixels_and_large_ones_reduced() -> None:
    drawn = draw_sheet(colored_sheet((10, 20), (256, 256), (512, 1024)))
    assert count(drawn, (10, 200, 30)) == (12 * 10) * (12 * 20)
    assert count(drawn, (11, 200, 30)) == 256 * 256
    assert count(drawn, (12, 200, 30)) == 128 * 256


def test_every_entry_of_the_legend_is_drawn_and_nothing_touches_the_edge() -> None:
    drawn = draw_sheet(colored_sheet((40, 40)))
    assert count(drawn, (10, 20, 30)) == 30 * 15 * 15
    edges = np.concatenate([drawn[:8].reshape(-1, 3), drawn[-8:].reshape(-1, 3)])
    sides = np.concatenate([drawn[:, :8].reshape(-1, 3), drawn[:, -8:].reshape(-1, 3)])
    assert (edges == 255).all()
    assert (sides == 255).all()


def test_the_same_sheet_is_the_same_picture() -> None:
    sheet = colored_sheet((40, 40), (300, 20))
    assert np.array_equal(draw_sheet(sheet), draw_sheet(sheet))


def test_captions_and_subtitles_take_room() -> None:
    cell = Cell(title="a", pixels=np.zeros((256, 256, 3), np.uint8))
    longer = Cell(title="a", subtitle="b", pixels=cell.pixels)

    def height(one: Cell, caption: str) -> int:
        sheet = Sheet(title="t", rows=((one,),), captions=(caption,), legend=())
        return len(draw_sheet(sheet))

    assert height(cell, "") < height(longer, "") < height(longer, "caption")
