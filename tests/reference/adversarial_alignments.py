"""Slow, obvious twins of the alignments: sums over pairs and entries, written out."""

import math


def matrix_product(rows, weight):
    return [
        [sum(x * w[k] for x, w in zip(row, weight, strict=True)) for k in range(len(weight[0]))]
        for row in rows
    ]


def covariance(rows):
    n, dim = len(rows), len(rows[0])
    mean = [sum(row[k] for row in rows) / n for k in range(dim)]
    return [
        [sum((row[i] - mean[i]) * (row[j] - mean[j]) for row in rows) / (n - 1) for j in range(dim)]
        for i in range(dim)
    ]


def covariance_distance(source, target):
    a, b, dim = covariance(source), covariance(target), len(source[0])
    return sum((a[i][j] - b[i][j]) ** 2 for i in range(dim) for j in range(dim)) / (4 * dim**2)


def squared_distance(a, b):
    return sum((s - t) ** 2 for s, t in zip(a, b, strict=True))


def kernel_discrepancy(source, target, scales=(0.25, 0.5, 1, 2, 4)):
    rows = [*source, *target]
    pairs = [(i, j) for i in range(len(rows)) for j in range(len(rows)) if i != j]
    typical = sum(squared_distance(rows[i], rows[j]) for i, j in pairs) / len(pairs)

    def mean_kernel(left, right):
        values = [
            sum(math.exp(-squared_distance(a, b) / (scale * typical)) for scale in scales)
            for a in left
            for b in right
        ]
        return sum(values) / len(values)

    return mean_kernel(source, source) + mean_kernel(target, target) - 2 * mean_kernel(source, target)


def domain_classifier_loss(source_logits, target_logits):
    on_source = [math.log(1 + math.exp(-z)) for z in source_logits]
    on_target = [math.log(1 + math.exp(z)) for z in target_logits]
    return (sum(on_source) / len(on_source) + sum(on_target) / len(on_target)) / 2
