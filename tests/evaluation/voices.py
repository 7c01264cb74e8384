"""Voices of a few words, their texts, and how tests have them judged."""

from dataclasses import replace

import torch

from evaluation.evaluator import Request, evaluate_voice
from tests.helpers import config_of
from text.corpus import load_corpus

GREEK = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu"]
LEARNT = {"batch_size": 16, "max_steps": 60, "learning_rate": 0.01}


def request(run) -> Request:
    return Request(60, 0, torch.device("cpu"), config_of(run))


def judge(run, tmp_path, texts: list[str], name: str = "judged", count: int = 0):
    path = tmp_path / f"{name}.txt"
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return evaluate_voice(run.name, run.model_file(), path, replace(request(run), count=count or len(texts)))


def training_lines(run) -> list[str]:
    corpus = load_corpus(run)
    return [corpus.vocabulary.decode(document) for document in corpus.train]
