from pathlib import Path

from voxnas.data.layout import Candidate
from voxnas.data.limit import limit_scans


def candidate(participant, session="", target=None):
    scan = f"{participant}{session}"
    return Candidate(scan, participant, (Path(f"{scan}.nii"),), session=session, target=target)


def test_all_scans_of_a_participant_stay_together():
    scans = [candidate(f"p{i}", s) for i in range(10) for s in ("a", "b")]
    kept = limit_scans(scans, 7, False, 0)
    assert len(kept) == 6 and len({c.participant for c in kept}) == 3
    assert limit_scans(scans[::-1], 7, False, 0) == kept


def test_classes_keep_their_share():
    scans = [candidate(f"p{i:02d}", target="rare" if i % 5 == 0 else "usual") for i in range(50)]
    kept = limit_scans(scans, 20, True, 1)
    assert sum(c.target == "rare" for c in kept) == 4 and len(kept) == 20
    assert limit_scans(scans, 50, True, 1) == scans
