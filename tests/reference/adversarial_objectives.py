"""Slow, obvious twins of adversarial.objectives in plain Python, one sample at a time."""

import math


def sigmoid(logit):
    return 1 / (1 + math.exp(-logit))


def discriminator_on_real(logits):
    return [-math.log(sigmoid(z)) for z in logits]


def discriminator_on_generated(logits):
    return [-math.log(1 - sigmoid(z)) for z in logits]


def generator_saturating(logits):
    return [math.log(1 - sigmoid(z)) for z in logits]


def generator_non_saturating(logits):
    return [-math.log(sigmoid(z)) for z in logits]


def critic_on_real(scores):
    return [-s for s in scores]


def critic_on_generated(scores):
    return list(scores)


def generator_wasserstein(scores):
    return [-s for s in scores]


def domain_gap(source_scores, target_scores):
    return sum(source_scores) / len(source_scores) - sum(target_scores) / len(target_scores)


def classification_loss(class_logits, labels):
    return [
        math.log(sum(math.exp(z) for z in row)) - row[label]
        for row, label in zip(class_logits, labels, strict=True)
    ]


def feature_loss(points, targets):
    return [
        sum((a - b) ** 2 for a, b in zip(p, t, strict=True)) for p, t in zip(points, targets, strict=True)
    ]


def interpolate(real, generated, epsilon):
    return [
        [e * a + (1 - e) * b for a, b in zip(r, g, strict=True)]
        for r, g, e in zip(real, generated, epsilon, strict=True)
    ]


def slope(function, point, step=1e-5):
    """Length of the gradient of `function` at one flat point, by central differences."""
    total = 0.0
    for axis in range(len(point)):
        ahead, behind = list(point), list(point)
        ahead[axis] += step
        behind[axis] -= step
        total += ((function(ahead) - function(behind)) / (2 * step)) ** 2
    return math.sqrt(total)


def slope_penalty(slopes, one_sided, target):
    return [max(0.0, s - target) ** 2 if one_sided else (s - target) ** 2 for s in slopes]
