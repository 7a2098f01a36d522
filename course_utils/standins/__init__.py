"""Stand-ins for the data sets: drawn images, for when the real ones cannot be had.

They are the same on every machine: the random numbers are NumPy's PCG64, and only
whole numbers, + - * / and square roots (which every processor rounds alike) lie
between them and the pixels. Sines and cosines, the one exception, are computed in
double precision, where a last digit that differs does not reach a pixel.
"""

from course_utils.standins.cells import standin_membranes
from course_utils.standins.digits import standin_mnist
from course_utils.standins.insects import standin_ants_bees
from course_utils.standins.phantoms import make_phantoms
from course_utils.standins.things import standin_cifar10

__all__ = [
    "make_phantoms",
    "standin_ants_bees",
    "standin_cifar10",
    "standin_membranes",
    "standin_mnist",
]
