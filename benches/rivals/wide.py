"""Makes a set of vectors with many components, as those of large models have, below `target/`, and prints where it is.

usage: python3 benches/rivals/wide.py [--rows N] [--queries N] [--dim N] [--like DIR]

The components are synthetic (`sets.wide`): what they cost is what real ones cost, what recall they give at which effort is
told by the local dimension: how fast the number of rows grows with the distance from a query (Levina and Bickel, 2004, over the
100 nearest). It is printed, with that of the set in --like beside it.
"""

import argparse
from pathlib import Path

import rivals


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--queries", type=int, default=1_000)
    parser.add_argument("--dim", type=int, default=1536)
    parser.add_argument("--like", type=Path, metavar="DIR", help="a set to compare with")
    options = parser.parse_args()
    rivals.enter_environment()
    import sets

    place = rivals.TARGET / "rivals-data" / f"wide-{options.dim}-{options.rows}"
    made = sets.wide(options.rows, options.queries, options.dim, place)
    print(f"{place}: local dimension {local_dimension(made):.1f}")
    if options.like:
        print(f"{options.like}: local dimension {local_dimension(sets.DataSet(options.like)):.1f}")


def local_dimension(data):
    """The median over queries of the estimate by the distances of the nearest rows."""
    import numpy as np

    base, queries, truth = data.base, data.queries, data.read("gt100")
    estimates = []
    for query, rows in zip(queries, truth):
        distances = np.sort(np.linalg.norm(base[rows[rows >= 0]] - query, axis=1))
        distances = distances[distances > 0]
        estimates.append(1 / np.mean(np.log(distances[-1] / distances[:-1])))
    return float(np.median(estimates))


if __name__ == "__main__":
    main()
