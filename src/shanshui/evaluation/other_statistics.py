"""FID statistics written by other programs: read where unambiguous, refused by name otherwise."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from shanshui.errors import ShanshuiError

FEATURES = 2048  # of Inception-v3 before its classifier
ROUNDING = 1e-5  # of the trace: below zero by less is rounding, for matrices stored with 16 bits too
PYTORCH_FID = f"mu ({FEATURES},) and sigma ({FEATURES}, {FEATURES}), as pytorch-fid --save-stats writes them"
AGAIN = "name the folder of photographs instead, or make statistics of it: python -m shanshui reference"
PROGRAMS = (  # arrays that tell a program, what it is, why it is not taken
    ({"mu_s", "sigma_s"}, "statistics of ADM (guided-diffusion)", "its Inception resizes and reads images otherwise"),
    ({"arr_0"}, "a batch of images, as ADM (guided-diffusion) keeps them", "they are no statistics"),
    ({"mean", "cov"}, "statistics under the names mean and cov", "they do not tell of which network they are"),
    ({"names", "features"}, "features of images", "they are no statistics"),
)


def of_others(content: Mapping[str, np.ndarray], source: str) -> dict[str, np.ndarray]:
    """Return `mu` (2048,) and `sigma` (2048, 2048) of an .npz in pytorch-fid's format, in float64.

    A `mu` of shape (1, 2048) is flattened.

    Args:
        content: arrays of the .npz by name.
        source: what messages call it.

    Raises:
        ShanshuiError: for another program's file, a sigma that is not a covariance (not symmetric, or not
            positive semidefinite), or values that are not finite.
    """
    held = ", ".join(f"{name} {array.shape}" for name, array in content.items()) or "nothing"
    for names, what, why in PROGRAMS:
        if names <= content.keys():
            raise ShanshuiError(f"{source} holds {what} ({held}): {why}", PYTORCH_FID, AGAIN)
    if set(content) != {"mu", "sigma"}:
        raise ShanshuiError(f"{source} is not a file of statistics: it holds {held}", PYTORCH_FID, AGAIN)
    mu, sigma = content["mu"], content["sigma"]
    for name, array in content.items():
        if array.dtype.kind != "f":
            raise ShanshuiError(f"{source}: {name} holds numbers of type {array.dtype}", "real numbers", AGAIN)
        if not np.isfinite(array).all():
            count = int((~np.isfinite(array)).sum())
            raise ShanshuiError(f"{source}: {count} numbers of {name} are not finite (NaN or infinite)",
                                "the statistics of whole photographs", AGAIN)  # fmt: skip
    if mu.ndim == 2 and 1 in mu.shape:
        mu = mu.ravel()
    if mu.shape != (FEATURES,):
        raise ShanshuiError(f"{source}: mu has shape {content['mu'].shape}", PYTORCH_FID, AGAIN)
    if sigma.shape == (FEATURES,):
        raise ShanshuiError(
            f"{source}: sigma has shape {sigma.shape}, the variances without the covariances", PYTORCH_FID, AGAIN
        )
    if sigma.shape != (FEATURES, FEATURES):
        raise ShanshuiError(f"{source}: sigma has shape {sigma.shape}", PYTORCH_FID, AGAIN)
    if not np.allclose(sigma, sigma.T, rtol=1e-3, atol=1e-5 * float(np.abs(sigma).max())) or (np.diag(sigma) < 0).any():
        raise ShanshuiError(f"{source}: sigma is no covariance: not symmetric, or negative", PYTORCH_FID, AGAIN)
    covariance = sigma.astype(np.float64)
    if not positive_semidefinite(covariance):
        raise ShanshuiError(
            f"{source}: sigma is no covariance: it is not positive semidefinite (a direction has a negative variance)",
            PYTORCH_FID, AGAIN,
        )  # fmt: skip
    return {"mu": mu.astype(np.float64), "sigma": covariance}


def positive_semidefinite(matrix: np.ndarray) -> bool:
    """Return whether a symmetric (d, d) has no negative eigenvalue, up to the rounding of files: ROUNDING of its trace.

    It is known from whether a Cholesky factor exists, which is much faster than the eigenvalues.
    """
    shift = ROUNDING * float(np.trace(matrix))
    try:
        np.linalg.cholesky(matrix + (shift or 1e-30) * np.eye(len(matrix)))
    except np.linalg.LinAlgError:
        return False
    return True
