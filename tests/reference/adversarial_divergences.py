"""Slow, obvious twins of adversarial.divergences: sums over places in plain Python."""

import math


def kullback_leibler(p, q):
    total = 0.0
    for a, b in zip(p, q, strict=True):
        if a > 0:
            total += math.inf if b == 0 else a * math.log(a / b)
    return total


def jensen_shannon(p, q):
    middle = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
    return kullback_leibler(p, middle) / 2 + kullback_leibler(q, middle) / 2


def optimal_discriminator(real, generated):
    return [a / (a + b) for a, b in zip(real, generated, strict=True)]


def softmax(logits):
    total = sum(math.exp(z) for z in logits)
    return [math.exp(z) / total for z in logits]


def numeric_gradient(function, logits, step=1e-6):
    gradient = []
    for place in range(len(logits)):
        ahead, behind = list(logits), list(logits)
        ahead[place] += step
        behind[place] -= step
        gradient.append((function(ahead) - function(behind)) / (2 * step))
    return gradient
