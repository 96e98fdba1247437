"""What deploying may do, as pure data: the workflow's role, CloudFormation's, and the bound of what that makes."""
