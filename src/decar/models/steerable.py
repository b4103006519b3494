r"""A network whose prediction does not change when the molecule turns: steerable convolutions (arXiv 1807.02547).

Features are real spherical tensors of degree l = 0 .. max_degree. A kernel from degree l1 to l3 is

    K[m3, m1](r) = sum over l2, n of  w[l2, n]  R[n, l2](|r|)  sum over m2 of  C[l1 m1, l2 m2, l3 m3] Y[l2 m2](r / |r|)

    R[n, l](r) = (r / s)^l  L[n, l + 1/2](r^2 / s^2)  exp(-r^2 / 2 s^2)  cos^2(pi r / 2 R),   zero for r > R

with Clebsch-Gordan coefficients C and harmonics Y (e3nn, doi 10.5281/zenodo.6459381) and the radial functions of the
harmonic oscillator (generalised Laguerre polynomials L) up to 2 n + l = MAX_ORDER: of all functions that fit into a
ball they reach least far in frequency, so that little is lost or folded back by sampling them. The lengths r, s and R
are in bohr; a setting says s and R, by the diameter D of a layer's kernels or by their taps:

    kernel_diameters_angstrom: D    R = D / 2         s = FIRST_WIDTH D / 8 in the first layer, WIDTH D in the others
    kernel_size: k                  R = e taps / 2    s = FIRST_WIDTH e in the first layer, WIDTH e k in the others

e being the edge of the layer's voxels. With diameters only the number of taps and their places depend on the spacing:
kernels are normalised over space, not over taps, and what smooths is a Gaussian of the s of the layer that it comes
before. So the same weights are the same function of a molecule at any spacing, but for sampling (docs/networks.md).

    layer l:  x_l = m_l  gate( norm( K_l * P x_(l-1) ) )
    head:     z = v . silu( V [<s>, sqrt <s^2>, ln(volume / 1000 bohr^3)] + c ) + d,   s the (pseudo)scalars of x_L

or, with `readout: all`, of every layer, s its (pseudo)scalars and the lengths of its other tensors.

The first layer takes steps of two voxels, with three more taps than kernel_size. The others take steps of one; P is a
Gaussian average with steps of two before all of them but the second, so that what the gates bring in is smoothed before
it is thinned out: without it an arbitrary rotation changed the prediction by a tenth of what molecules differ by.

norm divides the tensors of each kind by their root mean square length; gate is silu(x + b) - silu(b) for scalars (b and
a factor are learned), and a tensor times the sigmoid of a scalar of its own. Averages <> are over the molecule, not
over its box: a voxel counts by w, the square of the smoothed input, and volume is (sum of w)^2 / (sum of w^2). Nothing
is added that would not vanish in vacuum. So the prediction depends neither on the size of the box nor on its
orientation, for fields that vanish at its faces.

Kernels with a step of two have an even number of taps and stand between voxels, others an odd one, so a layer commutes
with the 24 rotations of the lattice to rounding, in boxes that are multiples of the total stride. Other rotations
change the prediction by what sampling leaves (docs/networks.md). Parity is kept: without `chiral` all features are true
tensors, and mirror images have the same prediction. With it there are pseudotensors too, and the head reads
pseudoscalars, which change their sign in a mirror.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple, cast

import torch
from e3nn import o3
from numpy.polynomial.legendre import leggauss
from scipy.special import eval_genlaguerre
from torch import Tensor, nn
from torch.nn import functional

from decar.config import LEAST_FIRST_TAPS, ModelSettings
from decar.errors import ConfigError
from decar.models.convolution import convolve
from decar.models.hidden import hidden_layer
from decar.models.network import Network, count_parameters, describe_part
from decar.units import ANGSTROM_PER_BOHR

FIRST_WIDTH = 1.5  # s of the first layer, in voxels
WIDTH = 1.3 / 7  # s of the others, a tap: wider ones are cut off, narrower ones fall between voxels
REACH = 4  # widths, of the Gaussians beside kernels of given diameters: what is cut off there depends on the taps
MAX_ORDER = 2  # 2 n + l of the radial functions
EPSILON = 1e-6  # added to mean squares
VOLUME_BOHR3 = 1000.0  # of a molecule of ten heavy atoms, about

Kind = tuple[int, int]  # degree, and parity: 1 for tensors, -1 for pseudotensors, whose sign a mirror changes besides
Multiplicities = dict[Kind, int]  # how many tensors of each kind
SCALAR: Kind = (0, 1)


class Form(NamedTuple):
    """The form of a layer's kernels; lengths in edges of its voxels."""

    taps: int
    width: float  # s
    cutoff: float  # R
    over_space: bool  # normalised over space, or over taps


def kernel_forms(settings: ModelSettings, spacing_bohr: float) -> list[Form]:
    """Return the form of each layer's kernels; raises ConfigError for a diameter that is too small for the spacing."""
    size, spacing = settings.kernel_size, spacing_bohr * ANGSTROM_PER_BOHR
    if settings.kernel_diameters_angstrom is None:
        others = Form(size, WIDTH * size, size / 2, over_space=False)
        return [Form(size + 3, FIRST_WIDTH, (size + 3) / 2, over_space=False), *[others] * (len(settings.channels) - 1)]
    forms = []
    for number, taps in enumerate(settings.kernel_taps(spacing)):
        diameter = settings.kernel_diameters_angstrom[number] / (spacing * 2**number)
        width = WIDTH if number else FIRST_WIDTH / LEAST_FIRST_TAPS
        forms.append(Form(taps, width * diameter, diameter / 2, over_space=True))
    return forms


def smoothing_filters(forms: Sequence[Form]) -> tuple[Tensor, list[Tensor]]:
    """Return the filter of what weighs averages, on voxels, and those of the steps of two before each layer."""
    if not forms[0].over_space:
        return gaussian_filter(9, 1.5), [gaussian_filter(8, 1.6)] * len(forms)
    width = forms[0].width
    steps = [width, *(2 * form.width for form in forms[1:])]  # before a step voxels are half as large
    taps = [2 * math.ceil(REACH * width) for width in steps]
    return gaussian_filter(2 * math.ceil(REACH * width) + 1, width), list(map(gaussian_filter, taps, steps))


def gaussian_filter(taps: int, width: float) -> Tensor:
    """Return a Gaussian on the taps of one axis, with sum 1."""
    axis = torch.arange(taps, dtype=torch.float64) - (taps - 1) / 2
    values = torch.exp(-((axis / width) ** 2) / 2)
    return (values / values.sum()).float()


def smoothed(x: Tensor, along_axis: Tensor, step: int) -> Tensor:
    """Return each channel of x [batch, channel, x, y, z] averaged by a filter along each axis in turn."""
    channels, taps = x.shape[1], len(along_axis)
    for axis in range(3):
        shape, strides, paddings = [1, 1, 1], [1, 1, 1], [0, 0, 0]
        shape[axis], strides[axis], paddings[axis] = taps, step, (taps - step) // 2
        kernel = along_axis.view(1, 1, *shape).expand(channels, 1, *shape)
        x = convolve(x, kernel, strides=strides, paddings=paddings, groups=channels)
    return x


def radial_function(n: int, degree: int, radius: Tensor, width: float, cutoff: float) -> Tensor:
    """Return R[n, degree] at radii; all lengths in voxels."""
    x = radius / width
    polynomial = torch.from_numpy(eval_genlaguerre(n, degree + 0.5, (x**2).numpy()))
    window = torch.where(radius < cutoff, torch.cos(math.pi * radius / (2 * cutoff)) ** 2, 0.0)
    return x**degree * polynomial * torch.exp(-(x**2) / 2) * window


def kernel_basis(l1: int, l2: int, l3: int, form: Form) -> Tensor:
    """Return R C Y of a path on the taps, [n, m3, m1, x, y, z] in float64.

    Squares over m1 and taps sum to 1; or their integral over space is 1 / s^3, s in edges of voxels: a sum over taps is
    then the integral over space [s^3] of a kernel whose squares have the integral 1 [s^3].
    """
    axis = torch.arange(form.taps, dtype=torch.float64) - (form.taps - 1) / 2
    points = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1)
    radius, orders = points.norm(dim=-1), range((MAX_ORDER - l2) // 2 + 1)
    radial = torch.stack([radial_function(n, l2, radius, form.width, form.cutoff) for n in orders])
    harmonics = o3.spherical_harmonics(l2, points, normalize=True)
    coupling = o3.wigner_3j(l1, l2, l3, dtype=torch.float64)
    basis = torch.einsum("pqm,nxyz,xyzq->nmpxyz", coupling, radial, harmonics)
    if form.over_space:  # C has the norm 1 and Y are orthonormal, so the squares of C Y integrate to 1
        places, weights = (torch.from_numpy(values) * form.cutoff / 2 for values in leggauss(64))
        places = places + form.cutoff / 2
        of_n = [radial_function(n, l2, places, form.width, form.cutoff) * places for n in orders]
        square = torch.stack([(values.square() * weights).sum() for values in of_n]).view(-1, 1, 1, 1, 1, 1)
        return basis * ((2 * l3 + 1) / (square * form.width**3)).sqrt()
    return basis / (basis.square().sum(dim=(1, 2, 3, 4, 5), keepdim=True) / (2 * l3 + 1)).sqrt()


def paths_between(inputs: Iterable[Kind], outputs: Iterable[Kind]) -> list[tuple[Kind, int, Kind]]:
    """Return (kind, degree of the harmonics, kind) of all kernels that keep parity."""
    return [
        (one, l2, other) for other in outputs for one in inputs
        for l2 in range(abs(one[0] - other[0]), min(one[0] + other[0], MAX_ORDER) + 1)
        if (-1) ** (one[0] + l2 + other[0]) * one[1] == other[1]
    ]  # fmt: skip


class SteerableConvolution(nn.Module):
    """Steps of one voxel with an odd number of taps an axis, or of two with an even one."""

    def __init__(self, inputs: Multiplicities, outputs: Multiplicities, form: Form) -> None:
        super().__init__()
        self.inputs, self.outputs, self.form = inputs, outputs, form
        self.taps, self.step = form.taps, 2 - form.taps % 2
        self.paths = paths_between(inputs, outputs)
        self.weights = nn.ParameterList()
        for number, (one, degree, other) in enumerate(self.paths):
            basis = kernel_basis(one[0], degree, other[0], form).float()
            self.register_buffer(f"basis{number}", basis, persistent=False)
            self.weights.append(nn.Parameter(torch.zeros(outputs[other], inputs[one], len(basis))))

    def kernel(self) -> Tensor:
        """Return the kernels as a convolution takes them, [component out, component in, taps, taps, taps]."""
        parts: dict[tuple[Kind, Kind], Tensor] = {}
        for number, ((one, _, other), weight) in enumerate(zip(self.paths, self.weights)):
            part = torch.einsum("oin,nmpxyz->omipxyz", weight, getattr(self, f"basis{number}"))
            parts[other, one] = parts[other, one] + part if (other, one) in parts else part
        rows = []
        for other, many in self.outputs.items():
            row = []
            for one, few in self.inputs.items():
                shape = (many * (2 * other[0] + 1), few * (2 * one[0] + 1), *(self.taps,) * 3)
                part = parts.get((other, one), self.weights[0].new_zeros(()))
                row.append(part.reshape(shape) if part.ndim else part.expand(shape))
            rows.append(torch.cat(row, dim=1))
        return torch.cat(rows, dim=0)

    def forward(self, x: Tensor) -> Tensor:
        """x [batch, component, x, y, z] -> the same, with each axis halved for steps of two."""
        # The components of one site lie together, as in the published network: an eighth faster on CPU.
        x, kernel = (given.contiguous(memory_format=torch.channels_last_3d) for given in (x, self.kernel()))
        reach = (self.taps - self.step) // 2
        return convolve(x, kernel, strides=(self.step,) * 3, paddings=(reach,) * 3)


class SteerableLayer(nn.Module):
    """Steerable convolution, norm, gate, mask. `outputs` are what the gate leaves; scalars come first."""

    def __init__(self, inputs: Multiplicities, outputs: Multiplicities, form: Form) -> None:
        super().__init__()
        self.outputs = outputs
        num_gates = sum(outputs.values()) - outputs[SCALAR]
        before = {**outputs, SCALAR: outputs[SCALAR] + num_gates}
        self.convolution = SteerableConvolution(inputs, before, form)
        self.scale = nn.Parameter(torch.ones(before[SCALAR]))
        self.shift = nn.Parameter(torch.zeros(before[SCALAR]))

    def forward(self, x: Tensor, mask: Tensor, share: Tensor) -> Tensor:
        """x [batch, component, x, y, z] -> likewise; mask and share are those of the result."""
        x = self.convolution(x)
        kept, num_scalars = self.outputs[SCALAR], len(self.scale)
        shift = self.shift.view(1, -1, 1, 1, 1)
        scalars = _divided(x[:, :num_scalars], share, 1) * self.scale.view(1, -1, 1, 1, 1) + shift
        gates = torch.sigmoid(scalars[:, kept:])
        parts = [functional.silu(scalars[:, :kept]) - functional.silu(shift[:, :kept])]
        at, gate_at = num_scalars, 0
        for kind, many in self.outputs.items():
            if kind != SCALAR:
                width = 2 * kind[0] + 1
                gate = gates[:, gate_at : gate_at + many].repeat_interleave(width, dim=1)
                parts.append(_divided(x[:, at : at + many * width], share, width) * gate)
                at, gate_at = at + many * width, gate_at + many
        return torch.cat(parts, dim=1) * mask


def _divided(x: Tensor, share: Tensor, width: int) -> Tensor:
    """Return x over the root mean square length of its tensors (`width` components each), per sample."""
    square = (x.square() * share).sum(dim=(1, 2, 3, 4), keepdim=True) * (width / x.shape[1])
    return x * torch.rsqrt(square + EPSILON)


def lengths(x: Tensor, kinds: Multiplicities) -> Tensor:
    """Return the scalars of x [batch, component, x, y, z] as they are and of other tensors the length, by tensor."""
    parts, at = [], 0
    for (degree, _), many in kinds.items():
        width = 2 * degree + 1
        tensors = x[:, at : at + many * width]
        if width > 1:
            square = tensors.reshape(len(x), many, width, *x.shape[2:]).square().sum(dim=2)
            tensors = torch.sqrt(square + EPSILON)  # without it the slope at 0, outside the mask, is infinite
        parts.append(tensors)
        at += many * width
    return torch.cat(parts, dim=1)


class SteerableNetwork(Network):
    """`channels` are the scalars of each layer; of degree l there are channels / (2 l + 1), none in the last layer."""

    of_weight: Tensor  # a filter, see `smoothed`

    def __init__(
        self, settings: ModelSettings, spacing_bohr: float, num_inputs: int | None = None, num_outputs: int = 1
    ) -> None:
        super().__init__(settings, spacing_bohr, num_inputs or len(settings.fields), num_outputs)
        if self.num_inputs != len(settings.fields):
            raise ConfigError(
                "a steerable network reads fields of one channel: a vector would have to turn with the molecule",
                where="training.models: fields", seen=", ".join(settings.fields),
                remedy="name scalar fields, or another architecture",
            )  # fmt: skip
        mirror = "told apart from its mirror image" if settings.chiral else "the same for its mirror image"
        self.symmetry = f"invariant under rotations (those of the lattice to rounding, others closely); {mirror}"
        parities = (1, -1) if settings.chiral else (1,)
        kinds = [(degree, parity) for degree in range(settings.max_degree + 1) for parity in parities]
        stack: list[Multiplicities] = [{SCALAR: self.num_inputs}]
        for number, many in enumerate(settings.channels, start=1):
            wanted = kinds if number < len(settings.channels) else [(0, parity) for parity in parities]
            reached = {path[2] for path in paths_between(stack[-1], wanted)}
            stack.append({kind: max(1, many // (2 * kind[0] + 1)) for kind in wanted if kind in reached})
        forms = kernel_forms(settings, spacing_bohr)
        self.layers = nn.ModuleList(
            SteerableLayer(inputs, outputs, form) for (inputs, outputs), form in zip(pairwise(stack), forms)
        )
        # The layers that the head reads.
        self.read = range(0 if settings.readout == "all" else len(stack) - 2, len(stack) - 1)
        num_read = sum(sum(stack[number + 1].values()) for number in self.read)
        self.hidden = hidden_layer(2 * num_read + 1, settings)
        self.output = nn.Linear(settings.hidden, num_outputs)
        of_weight, before = smoothing_filters(forms)
        self.register_buffer("of_weight", of_weight, persistent=False)
        for number, values in enumerate(before):
            self.register_buffer(f"before_layer{number}", values, persistent=False)

    def before_layer(self, number: int) -> Tensor:
        """Return the filter of the step of two before a layer, by number from 0."""
        return cast("Tensor", getattr(self, f"before_layer{number}"))

    @property
    def total_stride(self) -> int:
        """Return 2 for one layer or two, then twice as much for each further one."""
        return 1 << max(1, len(self.layers) - 1)

    def initialise(self, seed: int) -> None:
        """Draw weights anew: convolutions so that each layer keeps the variance, the head as in other networks."""
        super().initialise(seed)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for module in self.modules():
                if isinstance(module, SteerableConvolution):
                    for (_, _, kind), weight in zip(module.paths, module.weights):
                        paths = sum(path[2] == kind for path in module.paths)
                        gain = 1 / math.sqrt(paths * weight[0].numel())
                        weight.copy_(torch.randn(weight.shape, generator=generator) * gain)

    @property
    def num_features(self) -> int:
        """Return the number of scalars of the last layer; pseudoscalars are none."""
        return cast("SteerableLayer", self.layers[-1]).outputs[SCALAR]

    def feature_map(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Return the scalars of the last layer, [batch, scalar, x, y, z], and their mask."""
        x = x * mask
        *_, (features, mask, _) = self._each_layer(x, mask, self._weight(x, mask))
        return features[:, : self.num_features], mask

    def readout(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return <s> and sqrt <s^2> of the layers that are read, and the logarithm of the volume."""
        x = x * mask
        weight = self._weight(x, mask)
        volume = weight.sum(dim=(1, 2, 3, 4)).square() / (weight.square().sum(dim=(1, 2, 3, 4)) + EPSILON)
        volume = volume.clamp(min=1.0) * (self.spacing_bohr**3 / VOLUME_BOHR3)  # an empty box has none
        seen: list[Tensor] = []
        for number, (features, _, share) in enumerate(self._each_layer(x, mask, weight)):
            if number in self.read:
                read = lengths(features, cast("SteerableLayer", self.layers[number]).outputs)
                mean, square = (read * share).sum(dim=(2, 3, 4)), (read.square() * share).sum(dim=(2, 3, 4))
                seen += [mean, torch.sqrt(square + EPSILON)]
        return torch.cat([*seen, torch.log(volume)[:, None]], dim=1)

    def head(self, read: Tensor, keep: Tensor | None = None) -> Tensor:
        """Return logits [batch, num_outputs]."""
        hidden = functional.silu(self.hidden(read))
        return cast("Tensor", self.output(hidden if keep is None else hidden * keep))

    def _weight(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return w, how much a voxel counts: [batch, 1, x, y, z]."""
        return smoothed(x, self.of_weight, 1).square().mean(dim=1, keepdim=True) * mask

    def _each_layer(self, x: Tensor, mask: Tensor, weight: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield the tensors that each layer leaves, their mask, and w over its sum."""
        for number, layer in enumerate(self.layers):
            if number != 1:  # layers that take a step of two, or come after one
                mask = functional.max_pool3d(mask, 2)
                weight = smoothed(weight, self.before_layer(number), 2) * mask
                share = weight / (weight.sum(dim=(1, 2, 3, 4), keepdim=True) + EPSILON)
            x = self.run(layer, x if number < 2 else smoothed(x, self.before_layer(number), 2) * mask, mask, share)
            yield x, mask, share

    def parts(self) -> dict[str, nn.Module]:
        """Return the layers by number, then the head."""
        layers: dict[str, nn.Module] = {f"layer{number}": layer for number, layer in enumerate(self.layers, start=1)}
        return layers | {"hidden": self.hidden, "output": self.output}

    def describe(self) -> list[dict[str, object]]:
        """Return a row a part; the shape is that of the kernels as a convolution takes them."""
        rows: list[dict[str, object]] = []
        field, edge = 1, 1  # voxels of the input
        for number, module in enumerate(self.layers, start=1):
            layer = cast("SteerableLayer", module)
            form = layer.convolution.form
            if number > 2:
                field, edge = field + (len(self.before_layer(number - 1)) - 1) * edge, 2 * edge
            field += (form.taps - 1) * edge
            bohr = (2 * form.cutoff * edge * self.spacing_bohr, field * self.spacing_bohr)
            edge *= layer.convolution.step
            shape = layer.convolution.kernel().shape
            rows.append(describe_part(f"convolution {number}", shape, count_parameters(layer), *bohr))
        for name, linear in (("hidden", self.hidden), ("output", self.output)):
            rows.append(describe_part(name, linear.weight.shape, count_parameters(linear), None, None))
        return rows
