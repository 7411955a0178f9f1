from concurrent.futures import Future

import pytest

from analysis.workers import InThisProcess, worker_processes


def test_both_kinds_give_the_same_results() -> None:
    for workers in (InThisProcess(), worker_processes()):
        with workers:
            futures: list[Future[int]] = [workers.submit(pow, 2, power) for power in range(4)]
            assert [future.result() for future in futures] == [1, 2, 4, 8]


def test_an_error_arrives_where_the_result_is_asked_for() -> None:
    with worker_processes() as workers:
        future = workers.submit(int, "x")
        with pytest.raises(ValueError, match="invalid literal"):
            future.result()
    with pytest.raises(ValueError, match="invalid literal"):
        InThisProcess().submit(int, "x")
