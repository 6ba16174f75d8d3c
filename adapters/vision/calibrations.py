"""The calibrations of the pipelines that come with the product.

They were measured with these very pipelines on a part of Labeled Faces in the Wild, split by people
(Huang et al., University of Massachusetts, 2007), the central face of each photograph: 3,579 of 3,585 were found by
`dlib`, 3,584 by `mediapipe`, of 1,638 people. The curves of distances rest on every comparison of a template with the
first photograph of somebody else: for templates of one photograph 1,340,703 pairs of people, for two 837 templates and
for three 455 with everybody else, about 1.37 million and 744,835 comparisons. There two people who both have such a
template are compared from both ends. The rates of 1e-5 and 3e-5 of two and three photographs were measured again, each
pair of people counting once (1.02 million and 642,005); 10 pairs stand for 1e-5 of two, 19 for 3e-5 of three.
The factors for the cohort are the least of those that keep an FPIR among 100, 200, 400, 800 and 1,200 users drawn at
random, at least 20 times each. Rates that fewer than ten pairs, or ten people, stand for are left out.

More than three photographs follow those of three: see :mod:`domain.calibration`.

Among people who look alike, by sex, age and origin, distances are smaller than among these.
"""

from typing import Final

from domain.calibration import Calibration

IMPOSTORS_OF_DLIB: Final = Calibration(
    points=(
        (1e-5, 0.0444),
        (3e-5, 0.05),
        (1e-4, 0.0575),
        (3e-4, 0.0643),
        (1e-3, 0.0721),
        (3e-3, 0.08),
        (1e-2, 0.0902),
        (3e-2, 0.1017),
        (1e-1, 0.1186),
    ),
    several=(
        (
            2,
            (
                (1e-5, 0.0387),
                (3e-5, 0.0451),
                (1e-4, 0.052),
                (3e-4, 0.058),
                (1e-3, 0.0653),
                (3e-3, 0.0729),
                (1e-2, 0.0828),
                (3e-2, 0.0938),
                (1e-1, 0.1101),
            ),
        ),
        (
            3,
            (
                (3e-5, 0.0431),
                (1e-4, 0.0504),
                (3e-4, 0.0563),
                (1e-3, 0.0631),
                (3e-3, 0.0707),
                (1e-2, 0.0803),
                (3e-2, 0.0912),
                (1e-1, 0.1072),
            ),
        ),
    ),
    cohort=(
        (1, ((0.01, 0.238), (0.02, 0.254), (0.05, 0.273), (0.1, 0.288))),
        (
            2,
            ((0.01, 0.231), (0.02, 0.246), (0.05, 0.266), (0.1, 0.283)),
        ),
        (
            3,
            ((0.01, 0.225), (0.02, 0.241), (0.05, 0.261), (0.1, 0.277)),
        ),
    ),
)
IMPOSTORS_OF_MEDIAPIPE: Final = Calibration(
    points=(
        (1e-5, 0.0449),
        (3e-5, 0.0505),
        (1e-4, 0.0576),
        (3e-4, 0.0644),
        (1e-3, 0.0721),
        (3e-3, 0.0799),
        (1e-2, 0.0901),
        (3e-2, 0.1014),
        (1e-1, 0.1182),
    ),
    several=(
        (
            2,
            (
                (1e-5, 0.0391),
                (3e-5, 0.045),
                (1e-4, 0.052),
                (3e-4, 0.0578),
                (1e-3, 0.065),
                (3e-3, 0.0726),
                (1e-2, 0.0824),
                (3e-2, 0.0932),
                (1e-1, 0.1096),
            ),
        ),
        (
            3,
            (
                (3e-5, 0.043),
                (1e-4, 0.0504),
                (3e-4, 0.0563),
                (1e-3, 0.0631),
                (3e-3, 0.0705),
                (1e-2, 0.08),
                (3e-2, 0.0908),
                (1e-1, 0.1069),
            ),
        ),
    ),
    cohort=(
        (1, ((0.01, 0.239), (0.02, 0.254), (0.05, 0.274), (0.1, 0.29))),
        (
            2,
            ((0.01, 0.232), (0.02, 0.247), (0.05, 0.266), (0.1, 0.283)),
        ),
        (
            3,
            ((0.01, 0.226), (0.02, 0.242), (0.05, 0.261), (0.1, 0.277)),
        ),
    ),
)
