"""A model laid on processes by torch's own means, from outside: DDP, FSDP2, HSDP, tensor parallelism, and both."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.nn.parallel import DistributedDataParallel

from chainrule.device import Precision
from chainrule.model import GPT
from chainrule.plan import Layout
from chainrule.ranks.learner import Learner, StretchLearner
from chainrule.ranks.pipeline import StageLearner
from chainrule.ranks.tensor_parallel import in_parts


def laid_out(model: GPT, layout: Layout, mesh: DeviceMesh, precision: Precision) -> tuple[Learner, nn.Module]:
    """The learner of this process, and what its forward pass is called through; `model` is on `meta`.

    Its weights are anything: they are shared out afterwards. Gradients are sums over the processes, and no means, for
    the losses are sums.
    """
    learner: Learner = Learner(model)
    if layout.tp > 1:
        in_parts(model, mesh["tp"])
        learner = StretchLearner(model, mesh.get_local_rank("tp"), layout.tp)
    elif layout.pp > 1:
        learner = StageLearner(model, mesh.get_local_rank("pp"), layout.pp, precision)
    copies_alone = layout.fsdp == layout.tp == layout.pp == 1
    if layout.readers > 1 and not copies_alone:
        _share_weights(learner, mesh["dp", "fsdp"] if layout.dp > 1 else mesh["fsdp"])
    learner.to_empty(device=precision.device)
    if fill := getattr(model.position_embedding, "fill", None):
        fill()  # a table, and no weight: nobody shares it out
    if copies_alone:
        return learner, _copies(learner, mesh["dp"])
    return learner, learner


def _share_weights(learner: Learner, mesh: DeviceMesh) -> None:
    """Each block's weights are gathered when it computes, and given back; a mesh of two dimensions copies along one."""
    for block in learner.model.blocks:
        if next(block.parameters(), None) is not None:  # another stage has it
            fully_shard(block, mesh=mesh)
    fully_shard(learner, mesh=mesh)
    for module in learner.modules():
        if isinstance(module, FSDPModule):
            module.set_gradient_divide_factor(1.0)
            module.set_force_sum_reduction_for_comms(True)


def _copies(learner: Learner, mesh: DeviceMesh) -> DistributedDataParallel:
    group = mesh.get_group()
    # Whatever memory held would be sent, which is as good as anything until the weights are shared out.
    for parameter in learner.parameters():
        parameter.data.zero_()
    wrapped = DistributedDataParallel(learner, process_group=group, broadcast_buffers=False)
    wrapped.register_comm_hook(group, _summed)
    return wrapped


def _summed(group: Any, bucket: dist.GradBucket) -> torch.futures.Future[Tensor]:
    """The sum over the copies, where torch would make a mean of it."""
    work = dist.all_reduce(bucket.buffer(), group=group, async_op=True)
    return work.get_future().then(lambda done: done.value()[0])
