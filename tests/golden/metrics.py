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
file = File(sklearn, numpy)

# Class 4 of 0 to 5 is never predicted, class 5 does not occur at all.
CLASSES = 6
labels = random.choice(5, 60, p=[0.4, 0.25, 0.2, 0.1, 0.05])
labels[:5] = range(5)
predicted = numpy.where(random.random(60) < 0.7, labels, random.choice(4, 60))
predicted[predicted == 4] = 0
averages = {}
for average in ("macro", "micro", "weighted"):
    scores = metrics.precision_recall_fscore_support(
        labels, predicted, average=average, zero_division=0
    )
    averages[average] = scores[:3]
precision, recall, f1, support = metrics.precision_recall_fscore_support(
    labels, predicted, labels=range(CLASSES), zero_division=0
)
file.case(
    "classes",
    labels=labels,
    predicted=predicted,
    accuracy=metrics.accuracy_score(labels, predicted),
    confusion=metrics.confusion_matrix(labels, predicted, labels=range(CLASSES)),
    precision=precision,
    recall=recall,
    f1=f1,
    support=support,
    **averages,
)

logits = 2 * random.normal(size=(40, 4))
labels = random.choice(4, 40)
logits[range(40), labels] += 1
probabilities = numpy.exp(logits) / numpy.exp(logits).sum(1, keepdims=True)
file.case(
    "probabilities",
    labels=labels,
    logits=logits,
    probabilities=probabilities,
    log_loss=metrics.log_loss(labels, probabilities),
    one_vs_rest=metrics.roc_auc_score(labels, probabilities, multi_class="ovr", average="macro"),
    average_precision=metrics.average_precision_score(labels, probabilities),
    top_k=[metrics.top_k_accuracy_score(labels, probabilities, k=k) for k in (1, 2, 3)],
)

# Half the probabilities are exactly 0 or 1, some of them for the wrong class.
certain = numpy.stack([random.choice(2, 20).astype(float), numpy.zeros(20)], 1)
certain[10:, 0] = random.random(10)
certain[:, 1] = 1 - certain[:, 0]
labels = random.choice(2, 20)
file.case(
    "certain",
    labels=labels,
    probabilities=certain,
    log_loss=metrics.log_loss(labels, certain),
)

# Scores of few values, so that there are many ties.
labels = random.choice(2, 50)
scores = numpy.round(labels + 1.5 * random.normal(size=50)) / 2
file.case(
    "ties",
    labels=labels,
    scores=scores,
    roc_auc=metrics.roc_auc_score(labels, scores),
    average_precision=metrics.average_precision_score(labels, scores),
)

targets = random.normal(size=(30, 3)) * [1, 10, 0] + [5, -2, 4]
predicted = targets + random.normal(size=(30, 3)) * [0.3, 4, 1]
for name, columns in (("one_column", slice(0, 1)), ("three_columns", slice(0, 3))):
    y, p = targets[:, columns], predicted[:, columns]
    file.case(
        name,
        targets=y,
        predicted=p,
        rmse=metrics.root_mean_squared_error(y, p),
        mae=metrics.mean_absolute_error(y, p),
        r2=metrics.r2_score(y, p),
    )
file.write("metrics.txt")
