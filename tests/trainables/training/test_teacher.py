import pytest
import torch
from torch import nn

from trainables.networks.build import build_network
from trainables.training.teacher import follow, new_teacher


class Student(nn.Module):
    """One weight, and one batch normalisation of one channel."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0]))
        self.norm = nn.BatchNorm1d(1)


def _said(teacher):
    norm = teacher.norm
    return [float(teacher.weight), float(norm.running_mean), int(norm.num_batches_tracked)]


def test_a_teacher_is_an_even_average_first_and_then_decays():
    """Students of weights 1, 2, 3, 4 and statistics ten times those: means, until 0.6 is less."""
    student = Student()
    teacher = new_teacher(student)
    seen = []
    for step, value in enumerate((1.0, 2.0, 3.0, 4.0)):
        with torch.no_grad():
            student.weight.fill_(value)
            student.norm.running_mean.fill_(10 * value)
            student.norm.num_batches_tracked += 1
        follow(teacher, student, 0.6, step)
        seen.append(_said(teacher))
    # 1; (1 + 2) / 2; 0.6 * 1.5 + 0.4 * 3 = 2.1, as 1 - 1/3 exceeds 0.6; 0.6 * 2.1 + 0.4 * 4 = 2.86
    expected = [[1, 10, 1], [1.5, 15, 2], [2.1, 21, 3], [2.86, 28.6, 4]]
    for found, by_hand in zip(seen, expected, strict=True):
        assert found == pytest.approx(by_hand, rel=1e-6)


def test_without_decay_the_teacher_is_the_student():
    student = Student()
    teacher = new_teacher(student)
    student.weight.data.fill_(5.0)
    follow(teacher, student, 0.0, 7)
    assert float(teacher.weight) == 5.0


def test_a_teacher_is_in_evaluation_mode_and_its_students_gradients_are_not_its_own():
    student = build_network("unet", width=1)
    teacher = new_teacher(student)
    assert student.training
    assert not any(module.training for module in teacher.modules())
    assert not any(one.requires_grad for one in teacher.parameters())
    assert all(one.requires_grad for one in student.parameters())
    student.segment(torch.rand(2, 3, 32, 32)).sum().backward()
    follow(teacher, student, 0.9, 3)
    assert all(one.grad is None for one in teacher.parameters())


def test_what_a_teacher_says_of_a_patch_depends_on_no_other():
    teacher = new_teacher(build_network("unet", width=1))
    patches = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    before = {name: one.clone() for name, one in teacher.state_dict().items()}
    alone = torch.cat([teacher.segment(one[None]) for one in patches])
    torch.testing.assert_close(teacher.segment(patches), alone)
    assert all(torch.equal(one, before[name]) for name, one in teacher.state_dict().items())
