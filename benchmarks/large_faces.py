"""VVC and AV1 at the few lowest of their qualities, beside which faces of 1024×1024 are measured:

    PYTHONPATH=benchmarks hsc evaluate ffhq128 --data portraits.zip --anchors large_faces:VVC,large_faces:AV1 \\
        --judges lpips.alex,lpips.vgg,dists,psnr,dlib,dlib68 --out results/large

Higher ones take minutes a picture and ten times the bytes.
"""

from hsc.evaluation import anchors


class VVC(anchors.VVC):
    """By the bytes that generative codecs spend, and a few times these."""

    qualities = (63, 60, 57, 54)


class AV1(anchors.AV1):
    """The smallest files."""

    qualities = (63, 61, 58)
