"""Makes metrics.txt, with which tests/golden_metrics.rs compares.

Run in this folder: python metrics.py. Needs scikit-learn and numpy; the versions used are in the
first line of the file.
"""

import warnings

import numpy
import sklearn
from golden_file import File
from sklearn import metrics

warnings.filterwarnings("ignore")
random = numpy.random.default_rng(7)
# A source of their own, so that the rows are what they were before there were weights.
weigher = numpy.random.default_rng(8)
file = File(sklearn, numpy)


def cases(name, rows, values, **given):
    """What `values` gives of rows that count alike, and of rows with weights, some of them 0. Eighths
    are the same in f32."""
    file.case(name, **given, **values(None))
    weights = weigher.integers(0, 25, rows) / 8
    weights[:6] = [1.5, 0.125, 2, 0.75, 3, 0]
    file.case(f"weighted_{name}", weights=weights, **given, **values(weights))


# Class 4 of 0 to 5 is never predicted, class 5 does not occur at all.
CLASSES = 6
labels = random.choice(5, 60, p=[0.4, 0.25, 0.2, 0.1, 0.05])
labels[:5] = range(5)
predicted = numpy.where(random.random(60) < 0.7, labels, random.choice(4, 60))
predicted[predicted == 4] = 0


def of_classes(weights):
    averages = {}
    for average in ("macro", "micro", "weighted"):
        scores = metrics.precision_recall_fscore_support(
            labels, predicted, average=average, zero_division=0, sample_weight=weights
        )
        averages[average] = scores[:3]
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        labels, predicted, labels=range(CLASSES), zero_division=0, sample_weight=weights
    )
    confusion = metrics.confusion_matrix(
        labels, predicted, labels=range(CLASSES), sample_weight=weights
    )
    return dict(
        accuracy=metrics.accuracy_score(labels, predicted, sample_weight=weights),
        confusion=confusion,
        precision=precision,
        recall=recall,
        f1=f1,
        support=support,
        **averages,
    )


cases("classes", 60, of_classes, labels=labels, predicted=predicted)

logits = 2 * random.normal(size=(40, 4))
labels = random.choice(4, 40)
logits[range(40), labels] += 1
probabilities = numpy.exp(logits) / numpy.exp(logits).sum(1, keepdims=True)


def of_probabilities(weights):
    w = dict(sample_weight=weights)
    return dict(
        log_loss=metrics.log_loss(labels, probabilities, **w),
        one_vs_rest=metrics.roc_auc_score(
            labels, probabilities, multi_class="ovr", average="macro", **w
        ),
        average_precision=metrics.average_precision_score(labels, probabilities, **w),
        top_k=[metrics.top_k_accuracy_score(labels, probabilities, k=k, **w) for k in (1, 2, 3)],
    )


cases(
    "probabilities", 40, of_probabilities, labels=labels, logits=logits, probabilities=probabilities
)

# Half the probabilities are exactly 0 or 1, some of them for the wrong class.
certain = numpy.stack([random.choice(2, 20).astype(float), numpy.zeros(20)], 1)
certain[10:, 0] = random.random(10)
certain[:, 1] = 1 - certain[:, 0]
labels = random.choice(2, 20)
cases(
    "certain",
    20,
    lambda weights: dict(log_loss=metrics.log_loss(labels, certain, sample_weight=weights)),
    labels=labels,
    probabilities=certain,
)

# Scores of few values, so that there are many ties.
labels = random.choice(2, 50)
scores = numpy.round(labels + 1.5 * random.normal(size=50)) / 2
cases(
    "ties",
    50,
    lambda weights: dict(
        roc_auc=metrics.roc_auc_score(labels, scores, sample_weight=weights),
        average_precision=metrics.average_precision_score(labels, scores, sample_weight=weights),
    ),
    labels=labels,
    scores=scores,
)

targets = random.normal(size=(30, 3)) * [1, 10, 0] + [5, -2, 4]
predicted = targets + random.normal(size=(30, 3)) * [0.3, 4, 1]
for name, columns in (("one_column", slice(0, 1)), ("three_columns", slice(0, 3))):
    y, p = targets[:, columns], predicted[:, columns]
    cases(
        name,
        30,
        lambda weights: dict(
            rmse=metrics.root_mean_squared_error(y, p, sample_weight=weights),
            mae=metrics.mean_absolute_error(y, p, sample_weight=weights),
            r2=metrics.r2_score(y, p, sample_weight=weights),
        ),
        targets=y,
        predicted=p,
    )
file.write("metrics.txt")
