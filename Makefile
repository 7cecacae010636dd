# Everything runs in .venv, made on first use. PYTHON chooses the interpreter: make test PYTHON=python3.12
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
GPU_TEST := $(PYTHON) -u -m pytest -v -m gpu --override-ini addopts=--import-mode=importlib -p no:cacheprovider

.PHONY: help demo model paper test lint docs imports dist matrix fuzz mangle kills bench gpu clean

help: ## what each command does
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

demo: $(VENV)/installed ## train a small Hue-Net on drawn flowers and write pictures and metrics to runs/demo
	$(RUN) -m huenet demo --out runs/demo

model: $(VENV)/installed ## train the model in the package again, from drawn pictures alone: an hour of one core
	OMP_NUM_THREADS=1 $(RUN) -m huenet train --drawn 4000 --preset general --out runs/model
	$(RUN) -m huenet.color_transfer.packaged runs/model/generator.safetensors "$$(git rev-parse HEAD)"

paper: $(VENV)/installed ## rerun the Hue-Net paper's experiments on DATA="FOLDER ..." of photos into runs/paper; PAPER="--steps 600 --minutes 60" cuts them
	$(RUN) -m huenet paper --data $(DATA) --out runs/paper $(PAPER)

test: $(VENV)/installed ## run the tests
	OMP_NUM_THREADS=1 $(RUN) -m pytest -n auto
	OMP_NUM_THREADS=1 TRITON_INTERPRET=1 $(RUN) -m pytest -n auto tests/interpreted

mangle: $(VENV)/installed ## put CASES=500 damaged files, drawn with SEED=0, before the command line
	OMP_NUM_THREADS=1 $(RUN) -m tests.huenet.mangled --cases $(or $(CASES),500) --seed $(or $(SEED),0)

kills: $(VENV)/installed ## kill commands at KILLS=100 moments, drawn with SEED=0, and see that nothing is lost
	OMP_NUM_THREADS=1 $(RUN) -m tests.huenet.kills --kills $(or $(KILLS),100) --seed $(or $(SEED),0)

lint: $(VENV)/installed ## check style and types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

docs: $(VENV)/installed ## build the site into build/site/html; a warning, a broken link or an example that fails is an error
	OMP_NUM_THREADS=1 $(RUN) -m docs.site

imports: $(VENV)/installed ## check that huenet.kernels imports uninstalled, editable, as a wheel and beside `kernels`
	bash tests/imports.sh

dist: $(VENV)/installed ## the wheel and the source distribution in dist/, checked, installed alone and tried
	OMP_NUM_THREADS=1 $(RUN) -m tests.dist

matrix: $(VENV)/installed ## a short suite with other versions of torch, Triton and Python, into docs/versions.md; ONLY='torch 2.11' for some
	OMP_NUM_THREADS=1 $(RUN) -m tests.matrix --only '$(ONLY)' $(if $(ENVIRONMENT),--environment '$(ENVIRONMENT)')

fuzz: $(VENV)/installed ## 10,000 random cases of every operator, 200 in Triton's interpreter, against the reference; FUZZ_SEED=1 for others
	OMP_NUM_THREADS=1 FUZZ_CASES=10000 $(RUN) -m pytest -n auto --dist worksteal --durations 10 tests/kernels/test_fuzz.py
	OMP_NUM_THREADS=1 FUZZ_CASES=200 TRITON_INTERPRET=1 $(RUN) -m pytest -n auto --dist worksteal --durations 10 tests/interpreted/test_fuzz.py

bench: $(VENV)/installed-bench ## time the operators and a training step against what people use today, on this CPU
	$(RUN) -m bench run --suite cpu --device cpu

# in order of value, each result written as it comes: a smoke test of every operator, times of small cases, all tests, all times
gpu: ## test and time the kernels on this GPU into runs/gpu, with the packages of PYTHON itself: torch, triton, numpy, pytest, matplotlib
	@mkdir -p runs/gpu; status=0; \
	ls kernels/*/reference.py | cut -d/ -f2 | xargs -P 8 -I NAME sh -c \
		'$(GPU_TEST) "tests/gpu/test_smoke.py::test_agrees_with_the_reference[NAME]" > runs/gpu/smoke-NAME.txt 2>&1; code=$$?; \
		echo "smoke test of NAME: $$(tail -n 1 runs/gpu/smoke-NAME.txt)"; exit $$code' || status=1; \
	$(PYTHON) -m bench run --suite quick --device cuda --no-plots --out runs/gpu/quick || status=1; \
	printf '%s\n' every_operator execution histograms sizes | xargs -P 8 -I NAME sh -c \
		'$(GPU_TEST) tests/gpu/test_NAME.py > runs/gpu/NAME.txt 2>&1; code=$$?; \
		grep -a "^FAILED\|^ERROR" runs/gpu/NAME.txt; echo "tests/gpu/test_NAME.py: $$(tail -n 1 runs/gpu/NAME.txt)"; exit $$code' || status=1; \
	$(PYTHON) -m bench run --suite gpu --device cuda || status=1; \
	exit $$status

$(VENV)/installed: pyproject.toml setup.py constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "huenet needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV) || { echo "no venv module: sudo apt install python3-venv"; exit 1; }
	$(RUN) -m pip install --constraint constraints.txt --editable '.[test]'
	@touch $@

$(VENV)/installed-bench: $(VENV)/installed
	$(RUN) -m pip install --constraint constraints.txt --editable '.[test,bench]'
	@touch $@

clean: ## remove the environment and what it built
	rm -rf $(VENV) build dist *.egg-info
