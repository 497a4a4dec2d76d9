import io

import numpy as np
import torch

from trainables.features import IMAGES_PER_CLASS, MOST_CLASSES, MOST_COMPONENTS, features_sample


def read(content):
    return dict(np.load(io.BytesIO(content), allow_pickle=False).items())


def test_the_sample_is_the_first_images_of_each_class_and_origin():
    labels = torch.arange(4000) % 12
    synthetic = torch.arange(4000) >= 1000
    seen = []
    found = read(
        features_sample(lambda places: (seen.append(places), torch.randn(len(places), 40))[1], labels, synthetic)
    )
    n = 2 * MOST_CLASSES * IMAGES_PER_CLASS
    assert found["features"].shape == (n, MOST_COMPONENTS)
    assert found["features"].dtype == np.float16
    assert (found["classes"] == labels[seen[0]].numpy()).all()
    assert (found["synthetic"] == synthetic[seen[0]].numpy()).all()
    assert set(found["classes"].tolist()) == set(range(MOST_CLASSES))
    assert found["synthetic"].sum() == n // 2


def test_components_keep_distances_and_do_not_depend_on_the_axes():
    torch.manual_seed(0)
    rows = torch.randn(120, 8) * torch.linspace(1, 3, 8)
    labels, synthetic = torch.arange(120) % 2, torch.arange(120) >= 60
    sampled = features_sample(lambda places: rows[places], labels, synthetic)
    found = read(sampled)["features"].astype(float)
    order = torch.cat([((labels == k) & (synthetic == o)).nonzero().squeeze(1) for o in (False, True) for k in (0, 1)])
    expected = torch.cdist(rows[order], rows[order]).numpy()
    assert np.allclose(np.linalg.norm(found[:, None] - found, axis=2), expected, atol=0.05)
    assert np.allclose(found.mean(axis=0), 0, atol=0.02)
    assert (np.diff(found.var(axis=0)) < 0).all()
    assert features_sample(lambda places: rows[places], labels, synthetic) == sampled


def test_an_empty_pool_has_an_empty_sample():
    none = torch.empty(0, dtype=torch.int64)
    found = read(features_sample(lambda places: torch.zeros(len(places), 5), none, none.bool()))
    assert len(found["features"]) == len(found["classes"]) == 0
