"""What an expression may call: methods of tensors and functions of torch that read tensors and return new ones.

A list of what is allowed, not of what is forbidden. Nothing in it writes to a tensor, to a file, to torch's settings or
to memory that was not cleared; nothing takes a function, a path or a buffer.
"""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


POINTWISE = _words(
    """
    abs absolute acos acosh angle arccos arccosh arcsin arcsinh arctan arctanh asin asinh atan atanh
    bitwise_not ceil conj conj_physical cos cosh deg2rad digamma erf erfc erfinv exp exp2 expm1 fix floor
    frac i0 isfinite isinf isnan isneginf isposinf isreal lgamma log log10 log1p log2 logical_not logit
    nan_to_num neg negative positive rad2deg reciprocal relu round rsqrt sgn sigmoid sign signbit sin sinc
    sinh sqrt square tan tanh trunc hardshrink resolve_conj resolve_neg
    """
)
BROADCAST = _words(
    """
    add addcdiv addcmul arctan2 atan2 bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift
    bitwise_xor clamp clamp_max clamp_min clip copysign div divide eq float_power floor_divide fmax fmin
    fmod gcd ge greater greater_equal gt heaviside hypot isclose lcm ldexp le lerp less less_equal logaddexp
    logaddexp2 logical_and logical_or logical_xor lt masked_fill maximum minimum mul multiply ne nextafter
    not_equal pow remainder sub subtract true_divide where xlogy
    """
)
REDUCTIONS = _words(
    """
    all amax amin any argmax argmin count_nonzero logsumexp max mean median min nanmean nanmedian nansum
    norm prod std sum var std_mean var_mean
    """
)
ALONG = _words("argsort cummax cummin cumprod cumsum flip log_softmax logcumsumexp roll softmax sort")
PRODUCTS = _words("matmul mm bmm mv dot inner vdot")
CONVERSIONS = _words(
    """
    bfloat16 bool byte cdouble cfloat char cpu cuda double float half int long short to type_as
    """
)
SHAPES = _words(
    """
    adjoint broadcast_to chunk clone contiguous detach diag diag_embed diagonal dsplit expand expand_as
    flatten fliplr flipud gather hsplit index_select moveaxis movedim narrow permute ravel repeat
    repeat_interleave reshape reshape_as rot90 select split squeeze swapaxes swapdims t take take_along_dim
    tensor_split tile transpose tril triu unbind unflatten unfold unsqueeze view view_as vsplit
    masked_select as_strided
    """
)
LINEAR_ALGEBRA = _words(
    """
    addbmm addmm addmv addr baddbmm cholesky_solve corrcoef cov cross det diff dist inverse kron logdet
    matrix_exp matrix_power outer pinverse slogdet trace
    """
)
NUMPY = _words("numpy tolist")
"""Methods that lead out of torch."""
OTHERS = _words(
    """
    allclose bincount equal histc index_add index_copy index_fill kthvalue masked_scatter mode multinomial
    nanquantile nonzero quantile renorm scatter scatter_add topk unique unique_consecutive argwhere
    """
)
FACTS = _words(
    """
    dim element_size is_contiguous item nelement numel ndimension size storage_offset stride
    is_floating_point is_complex
    """
)
METHODS = (
    POINTWISE
    | BROADCAST
    | REDUCTIONS
    | ALONG
    | PRODUCTS
    | CONVERSIONS
    | SHAPES
    | LINEAR_ALGEBRA
    | OTHERS
    | FACTS
    | NUMPY
) - {"std_mean", "var_mean"}
ATTRIBUTES = _words("T H mT mH real imag shape dtype device ndim grad requires_grad is_leaf itemsize nbytes layout")
FIELDS = _words("values indices sign logabsdet")
"""Names in what `x.max(dim=0)`, `x.sort()`, `torch.slogdet(x)` return."""

CREATION = _words(
    """
    arange eye full full_like linspace logspace ones ones_like rand rand_like randint randn randn_like
    randperm tensor zeros zeros_like tril_indices triu_indices
    """
)
JOINING = _words(
    """
    cat concat concatenate stack hstack vstack dstack row_stack column_stack meshgrid cartesian_prod
    block_diag
    """
)
NOT_FUNCTIONS = _words(
    """
    bool byte bfloat16 cdouble cfloat char contiguous cpu cuda double expand expand_as float half int long
    repeat short size stride to type_as view view_as reshape_as nelement dim element_size is_contiguous
    item ndimension storage_offset unfold numpy tolist
    """
)
FUNCTIONS = (
    (METHODS - NOT_FUNCTIONS)
    | CREATION
    | JOINING
    | _words(
        """
    atleast_1d atleast_2d atleast_3d broadcast_tensors cdist einsum tensordot chain_matmul complex polar
    view_as_real view_as_complex std_mean var_mean isin bucketize searchsorted conv1d conv2d conv3d bilinear
    from_numpy as_tensor
    """
    )
)
NN_FUNCTIONS = _words(
    """
    adaptive_avg_pool1d adaptive_avg_pool2d avg_pool1d avg_pool2d binary_cross_entropy
    binary_cross_entropy_with_logits conv1d conv2d conv3d conv_transpose1d conv_transpose2d
    cosine_similarity cross_entropy dropout elu embedding fold gelu glu group_norm hardsigmoid hardswish
    hardtanh huber_loss kl_div l1_loss layer_norm leaky_relu linear log_softmax logsigmoid max_pool1d
    max_pool2d mish mse_loss nll_loss normalize one_hot pad pairwise_distance pixel_shuffle relu relu6
    rms_norm scaled_dot_product_attention selu sigmoid silu smooth_l1_loss softmax softmin softplus softsign
    tanh unfold
    """
)
LINALG_FUNCTIONS = _words(
    """
    cholesky cond cross det diagonal eigh eigvalsh inv lstsq matmul matrix_exp matrix_norm matrix_power
    matrix_rank multi_dot norm pinv qr slogdet solve svd svdvals vecdot vector_norm
    """
)
CONSTANTS = _words("pi e inf nan newaxis")
DTYPES = _words(
    """
    bool uint8 int8 int16 int32 int64 long int short float16 half bfloat16 float32 float float64 double
    complex64 complex128
    """
)
NUMPY_FUNCTIONS = _words("array asarray")
NUMPY_DTYPES = _words("bool_ uint8 int8 int16 int32 int64 float16 float32 float64 complex64 complex128")
ROOMS = {
    "torch": FUNCTIONS,
    "F": NN_FUNCTIONS,
    "torch.nn.functional": NN_FUNCTIONS,
    "torch.linalg": LINALG_FUNCTIONS,
    "np": NUMPY_FUNCTIONS,
    "numpy": NUMPY_FUNCTIONS,
}
"""Where functions may come from, and which."""
