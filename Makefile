PYTHON ?= python

.PHONY: install check test test-slow torture study report bench

install:
	$(PYTHON) -m pip install -e '.[test]'

check:
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	$(PYTHON) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'

test:
	$(PYTHON) -m pytest -n auto --dist worksteal

test-slow:
	$(PYTHON) -m pytest -n auto --dist worksteal -m 'not gpu'

torture:
	UREC_TORTURE_MOMENTS=$${UREC_TORTURE_MOMENTS:-20} $(PYTHON) -m pytest -s -m slow tests/torture tests/cluster

study:
	$(PYTHON) run_study.py --space w1,label_frac

report:
	$(PYTHON) -m analysis report demo

bench:
	$(PYTHON) benchmarks/training_step.py
	$(PYTHON) benchmarks/training_step.py --losses 50 --width 8
	$(PYTHON) benchmarks/tile_inference.py
	$(PYTHON) benchmarks/predict_raster.py
	$(PYTHON) benchmarks/trial_start.py
	$(PYTHON) benchmarks/study_layer.py --plot docs/images/growth_trials.png
	$(PYTHON) benchmarks/study_overhead.py
	$(PYTHON) benchmarks/bf16_scores.py
	$(PYTHON) benchmarks/growth.py
	$(PYTHON) benchmarks/report_time.py
	$(PYTHON) benchmarks/parameter_costs.py
	$(PYTHON) benchmarks/orthomosaic.py
	$(PYTHON) benchmarks/pseudo_labels.py
