"""Files of golden values: a list of cases, each a line `case NAME`, then lines `KEY VALUE VALUE ...`."""

import platform

import numpy


class File:
    """The first line names the versions of Python and of these modules."""

    def __init__(self, *modules):
        versions = [f"Python {platform.python_version()}"]
        versions += [f"{module.__name__} {module.__version__}" for module in modules]
        self.lines = ["# " + ", ".join(versions)]

    def case(self, name, **values):
        self.lines.append(f"case {name}")
        for key, value in values.items():
            numbers = numpy.asarray(value).reshape(-1)
            integral = numbers.dtype.kind in "iu"
            texts = [str(int(n)) if integral else repr(float(n)) for n in numbers]
            self.lines.append(" ".join([key, *texts]))

    def write(self, name):
        with open(name, "w", encoding="ascii") as file:
            file.write("\n".join(self.lines) + "\n")
