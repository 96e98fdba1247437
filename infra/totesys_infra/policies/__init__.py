"""The policies of deploying, as pure data: of the workflow's role, of CloudFormation's, and the boundary."""
